//! Where the pixels of an axial image lie in the patient.

/// A point or a direction across the patient: x to the left, y to the back, mm for points.
pub type Across = [f64; 2];

/// Rows and columns of pixels in an axial plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    pub rows: usize,
    pub columns: usize,
    pub between_rows_mm: f64,
    pub between_columns_mm: f64,
    /// Centre of the first pixel.
    pub first_mm: Across,
    /// Unit vectors of growing column number and of growing row number.
    pub along_row: Across,
    pub along_column: Across,
}

impl Grid {
    /// Square pixels, rows from the right to the left, columns from the front to the back.
    pub fn upright(centre_mm: Across, [rows, columns]: [usize; 2], pixel_mm: f64) -> Self {
        let mut grid = Self {
            rows,
            columns,
            between_rows_mm: pixel_mm,
            between_columns_mm: pixel_mm,
            first_mm: [0.0, 0.0],
            along_row: [1.0, 0.0],
            along_column: [0.0, 1.0],
        };
        grid.put_centre_at(centre_mm);
        grid
    }

    pub fn point(&self, row: f64, column: f64) -> Across {
        std::array::from_fn(|axis| {
            self.first_mm[axis]
                + self.along_row[axis] * column * self.between_columns_mm
                + self.along_column[axis] * row * self.between_rows_mm
        })
    }

    /// Row and column of a point, with fractions.
    pub fn pixel_at(&self, point_mm: Across) -> [f64; 2] {
        let from_first = [point_mm[0] - self.first_mm[0], point_mm[1] - self.first_mm[1]];
        let along = |direction: Across| from_first[0] * direction[0] + from_first[1] * direction[1];
        [along(self.along_column) / self.between_rows_mm, along(self.along_row) / self.between_columns_mm]
    }

    pub fn centre(&self) -> Across {
        self.point((self.rows as f64 - 1.0) / 2.0, (self.columns as f64 - 1.0) / 2.0)
    }

    fn put_centre_at(&mut self, centre_mm: Across) {
        let now = self.centre();
        self.first_mm = std::array::from_fn(|axis| self.first_mm[axis] + centre_mm[axis] - now[axis]);
    }

    pub fn moved(mut self, by_mm: Across) -> Self {
        self.first_mm = std::array::from_fn(|axis| self.first_mm[axis] + by_mm[axis]);
        self
    }

    /// Turned about its own centre, from x to y.
    pub fn turned(mut self, degrees: f64) -> Self {
        let centre = self.centre();
        let (sine, cosine) = degrees.to_radians().sin_cos();
        let turn = |[x, y]: Across| [x * cosine - y * sine, x * sine + y * cosine];
        (self.along_row, self.along_column) = (turn(self.along_row), turn(self.along_column));
        self.put_centre_at(centre);
        self
    }

    /// The same pixels with the last column first.
    pub fn with_columns_reversed(mut self) -> Self {
        self.first_mm = self.point(0.0, self.columns as f64 - 1.0);
        self.along_row = self.along_row.map(|component| -component);
        self
    }

    /// The same pixels with the last row first.
    pub fn with_rows_reversed(mut self) -> Self {
        self.first_mm = self.point(self.rows as f64 - 1.0, 0.0);
        self.along_column = self.along_column.map(|component| -component);
        self
    }

    /// Without the rows and columns of which no pixel is kept.
    pub fn cut_to(mut self, keeps: impl Fn(Across) -> bool) -> Self {
        let all = || (0..self.rows).flat_map(|row| (0..self.columns).map(move |column| (row, column)));
        let kept: Vec<(usize, usize)> =
            all().filter(|(row, column)| keeps(self.point(*row as f64, *column as f64))).collect();
        let span = |part: fn(&(usize, usize)) -> usize| {
            let (least, most) = (kept.iter().map(part).min(), kept.iter().map(part).max());
            (least.expect("something is kept"), most.expect("something is kept"))
        };
        let ((top, bottom), (left, right)) = (span(|kept| kept.0), span(|kept| kept.1));
        self.first_mm = self.point(top as f64, left as f64);
        (self.rows, self.columns) = (bottom - top + 1, right - left + 1);
        self
    }

    /// Whether a pixel lies in the circle that a scanner reconstructs.
    pub fn is_reconstructed(&self, row: usize, column: usize) -> bool {
        let [y, x] = [(row, self.rows), (column, self.columns)].map(|(at, of)| at as f64 - (of as f64 - 1.0) / 2.0);
        let (y, x) = (y * self.between_rows_mm, x * self.between_columns_mm);
        let radius = (self.rows as f64 * self.between_rows_mm).max(self.columns as f64 * self.between_columns_mm) / 2.0;
        x * x + y * y <= radius * radius
    }
}
