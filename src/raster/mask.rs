//! A set of a plane's pixels, one bit each, and morphology on 64 of them at a time.
//!
//! Body and lungs are found on each slab while the patient lies on the table, by opening and growing whole planes, so
//! that a step must treat many pixels at once. The result must be that of the plain definition, bit for bit; the tests
//! compare it with the definition, written pixel by pixel.
//!
//! A row takes whole words, so that shifting one moves its pixels and none of the next row's. Bits behind a row's last column
//! are 0. Pixels are numbered `row * columns + column`.

use std::borrow::Cow;

/// Which pixels are connected with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbours {
    /// The four that share a side.
    Sides,
    /// Those and the four that share a corner.
    SidesAndCorners,
}

/// A set of the pixels of a plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    rows: usize,
    columns: usize,
    /// Words of a row.
    stride: usize,
    words: Vec<u64>,
}

impl Mask {
    #[must_use]
    pub fn empty(rows: usize, columns: usize) -> Self {
        let stride = columns.div_ceil(64);
        Self { rows, columns, stride, words: vec![0; rows * stride] }
    }

    /// The pixels whose values, row by row, are meant.
    #[must_use]
    pub fn of<T>(values: &[T], columns: usize, is_meant: impl Fn(&T) -> bool) -> Self {
        let mut set = Self::empty(values.len() / columns, columns);
        for (row, words) in values.chunks_exact(columns).zip(set.words.chunks_exact_mut(set.stride)) {
            for (values, word) in row.chunks(64).zip(words) {
                *word = values.iter().enumerate().fold(0, |word, (at, value)| word | u64::from(is_meant(value)) << at);
            }
        }
        set
    }

    /// The pixels, row by row, for which `is_set` holds.
    #[must_use]
    pub fn from_fn(rows: usize, columns: usize, is_set: impl Fn(usize) -> bool) -> Self {
        Self::from_pixels(rows, columns, (0..rows * columns).filter(|at| is_set(*at)))
    }

    /// The mask of these pixels.
    #[must_use]
    pub fn from_pixels(rows: usize, columns: usize, pixels: impl IntoIterator<Item = usize>) -> Self {
        let mut mask = Self::empty(rows, columns);
        pixels.into_iter().for_each(|at| mask.insert(at));
        mask
    }

    /// The mask of these words, as many as its pixels need; see [`Self::words`]. Bits behind the last pixel must be 0.
    #[must_use]
    pub fn from_words(rows: usize, columns: usize, words: Vec<u64>) -> Self {
        debug_assert_eq!(words.len(), (rows * columns).div_ceil(64));
        if columns.is_multiple_of(64) {
            return Self { rows, columns, stride: columns / 64, words };
        }
        Self::from_fn(rows, columns, |at| words[at / 64] >> (at % 64) & 1 == 1)
    }

    /// The pixels, 64 a word, rows without a gap: the one at `row * columns + column` is bit `at % 64` of word `at / 64`.
    #[must_use]
    pub fn words(&self) -> Cow<'_, [u64]> {
        if self.columns.is_multiple_of(64) {
            return Cow::Borrowed(&self.words);
        }
        let mut words = vec![0; (self.rows * self.columns).div_ceil(64)];
        self.pixels().for_each(|at| words[at / 64] |= 1 << (at % 64));
        Cow::Owned(words)
    }

    /// The outermost pixels of a plane.
    #[must_use]
    pub fn border(rows: usize, columns: usize) -> Self {
        let all = Self::empty(rows, columns).complement();
        all.clone().without(&all.eroded_once())
    }

    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    pub fn insert(&mut self, at: usize) {
        let (row, column) = (at / self.columns, at % self.columns);
        self.words[row * self.stride + column / 64] |= 1 << (column % 64);
    }

    /// Whether the pixel at `row * columns + column` is set.
    #[must_use]
    pub fn contains(&self, at: usize) -> bool {
        let (row, column) = (at / self.columns, at % self.columns);
        self.words.get(row * self.stride + column / 64).is_some_and(|word| word >> (column % 64) & 1 == 1)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The pixels in ascending order.
    pub fn pixels(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(word_at, word)| {
            let first = word_at / self.stride * self.columns + word_at % self.stride * 64;
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(first + bit)
            })
        })
    }

    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(word, more)| *word |= more);
        self
    }

    #[must_use]
    pub fn without(mut self, other: &Self) -> Self {
        self.take_away(other);
        self
    }

    pub fn take_away(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, less)| *word &= !less);
    }

    #[must_use]
    pub fn common_with(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
        self
    }

    #[must_use]
    pub fn complement(mut self) -> Self {
        let last = self.last_word();
        for row in self.words.chunks_exact_mut(self.stride) {
            for word in row.iter_mut() {
                *word = !*word;
            }
            row[self.stride - 1] &= last;
        }
        self
    }

    /// The columns that there are in a row's last word.
    fn last_word(&self) -> u64 {
        match self.columns % 64 {
            0 => u64::MAX,
            columns => (1 << columns) - 1,
        }
    }

    /// The pixels within `reach` pixels of one of the set, up, down, beside and across: a square of `2 * reach + 1`.
    #[must_use]
    pub fn grown(&self, reach: usize) -> Self {
        let mut grown = self.clone();
        for _ in 0..reach {
            grown = grown.grown_once();
        }
        grown
    }

    fn grown_once(&self) -> Self {
        self.along_rows(|before, at, after| before | at | after).along_columns(|above, at, below| above | at | below)
    }

    /// The pixels all of whose neighbours are of the set; what lies beyond the plane is not.
    fn eroded_once(&self) -> Self {
        self.along_rows(|before, at, after| before & at & after).along_columns(|above, at, below| above & at & below)
    }

    /// The pixels that have only pixels of the set within `reach`, as far as the plane goes.
    #[must_use]
    pub fn shrunk(self, reach: usize) -> Self {
        self.complement().grown(reach).complement()
    }

    /// What squares of `side` pixels that fit into the set cover: its morphological opening.
    #[must_use]
    pub fn opened(&self, side: usize) -> Self {
        let mut mask = self.clone();
        for _ in 1..side {
            mask = mask.along_rows(|_, at, after| at & after).along_columns(|_, at, below| at & below);
        }
        // Now each pixel stands for the square that it is the first of.
        for _ in 1..side {
            mask = mask.along_rows(|before, at, _| before | at).along_columns(|above, at, _| above | at);
        }
        mask
    }

    /// The pixels of the set and those that have one of it above and one below.
    #[must_use]
    pub fn enclosed_in_columns(&self) -> Self {
        let (mut above, mut below) = (self.clone(), self.clone());
        for at in self.stride..self.words.len() {
            above.words[at] |= above.words[at - self.stride];
        }
        for at in (self.stride..self.words.len()).rev() {
            below.words[at - self.stride] |= below.words[at];
        }
        above.common_with(&below)
    }

    /// The first and the last column of the set in a row.
    #[must_use]
    pub fn span_in_row(&self, row: usize) -> Option<(usize, usize)> {
        let words = &self.words[row * self.stride..][..self.stride];
        let first = words.iter().position(|word| *word != 0)?;
        let last = words.iter().rposition(|word| *word != 0)?;
        let [first_bit, last_bit] = [words[first].trailing_zeros(), words[last].ilog2()];
        Some((first * 64 + first_bit as usize, last * 64 + last_bit as usize))
    }

    /// The first and the last row that have a pixel of the set.
    #[must_use]
    pub fn span_of_rows(&self) -> Option<(usize, usize)> {
        let first = self.words.iter().position(|word| *word != 0)?;
        let last = self.words.iter().rposition(|word| *word != 0)?;
        Some((first / self.stride, last / self.stride))
    }

    /// The pixels in these rows.
    #[must_use]
    pub fn in_rows(mut self, rows: std::ops::RangeInclusive<usize>) -> Self {
        let stride = self.stride;
        for (row, words) in self.words.chunks_exact_mut(stride).enumerate() {
            if !rows.contains(&row) {
                words.fill(0);
            }
        }
        self
    }

    /// Each pixel from those before it, at it and after it in its row.
    fn along_rows(&self, of: impl Fn(u64, u64, u64) -> u64) -> Self {
        let mut set = self.clone();
        let last = self.last_word();
        for (from, to) in self.words.chunks_exact(self.stride).zip(set.words.chunks_exact_mut(self.stride)) {
            for at in 0..from.len() {
                let [before, after] = shifted(from, at);
                to[at] = of(before, from[at], after);
            }
            to[from.len() - 1] &= last;
        }
        set
    }

    /// Each pixel from those above it, at it and below it.
    fn along_columns(&self, of: impl Fn(u64, u64, u64) -> u64) -> Self {
        let mut set = self.clone();
        let (stride, words) = (self.stride, &self.words);
        for at in 0..words.len() {
            let above = at.checked_sub(stride).map_or(0, |at| words[at]);
            let below = words.get(at + stride).copied().unwrap_or(0);
            set.words[at] = of(above, words[at], below);
        }
        set
    }

    /// The pixels of this set that hang together with one of `from` in it.
    #[must_use]
    pub fn reached(&self, from: &Self, neighbours: Neighbours) -> Self {
        let mut reached = from.clone().common_with(self);
        let Some((mut top, mut bottom)) = reached.span_of_rows() else { return reached };
        // Down and up in turns, until neither finds anything: as often as what hangs together turns back.
        loop {
            let mut changed = false;
            for row in top..self.rows {
                changed |= self.reach_row(&mut reached, row, row.checked_sub(1), neighbours);
                if row > bottom && reached.is_row_empty(row) {
                    break;
                }
                bottom = bottom.max(row);
            }
            for row in (0..=bottom).rev() {
                let below = Some(row + 1).filter(|below| *below < self.rows);
                changed |= self.reach_row(&mut reached, row, below, neighbours);
                if row < top && reached.is_row_empty(row) {
                    break;
                }
                top = top.min(row);
            }
            if !changed {
                return reached;
            }
        }
    }

    fn is_row_empty(&self, row: usize) -> bool {
        self.words[row * self.stride..][..self.stride].iter().all(|word| *word == 0)
    }

    /// Reaches what it can in a row from the row beside it and within itself. `true` if that is more than before.
    fn reach_row(&self, reached: &mut Self, row: usize, beside: Option<usize>, neighbours: Neighbours) -> bool {
        let mut changed = false;
        let first = row * self.stride;
        if let Some(beside) = beside {
            for at in 0..self.stride {
                let words = &reached.words[beside * self.stride..][..self.stride];
                let across = match neighbours {
                    Neighbours::Sides => 0,
                    Neighbours::SidesAndCorners => shifted(words, at).into_iter().fold(0, |across, word| across | word),
                };
                let found = (words[at] | across) & self.words[first + at];
                changed |= found & !reached.words[first + at] != 0;
                reached.words[first + at] |= found;
            }
        }
        let allowed = &self.words[first..][..self.stride];
        changed | fill_runs(allowed, &mut reached.words[first..][..self.stride])
    }

    /// The set's regions, by their first pixels.
    #[must_use]
    pub fn regions(&self, neighbours: Neighbours) -> Vec<Self> {
        let mut left = self.clone();
        let mut regions = Vec::new();
        while let Some(first) = left.first() {
            let mut seed = Self::empty(self.rows, self.columns);
            seed.insert(first);
            let region = left.reached(&seed, neighbours);
            left = left.without(&region);
            regions.push(region);
        }
        regions
    }

    fn first(&self) -> Option<usize> {
        self.pixels().next()
    }
}

/// What lies before each pixel of a row's word, and what after it.
fn shifted(row: &[u64], at: usize) -> [u64; 2] {
    let lower = at.checked_sub(1).map_or(0, |at| row[at]);
    let upper = row.get(at + 1).copied().unwrap_or(0);
    [row[at] << 1 | lower >> 63, row[at] >> 1 | upper << 63]
}

/// Lets the pixels that are set in a row reach the ends of the runs that are allowed.
fn fill_runs(allowed: &[u64], set: &mut [u64]) -> bool {
    let mut changed = false;
    let mut reach = |word: &mut u64, filled: u64| changed |= std::mem::replace(word, filled) != filled;
    let mut carry = false;
    for (allowed, word) in allowed.iter().zip(set.iter_mut()) {
        reach(word, fill_upwards(*allowed, *word, &mut carry));
    }
    carry = false;
    for (allowed, word) in allowed.iter().zip(set.iter_mut()).rev() {
        reach(word, fill_upwards(allowed.reverse_bits(), word.reverse_bits(), &mut carry).reverse_bits());
    }
    changed
}

/// Lets the bits of a word reach the upper ends of their runs: adding a run's bit to the run carries to its end, and on into the next
/// word.
fn fill_upwards(allowed: u64, set: u64, carry: &mut bool) -> u64 {
    let (sum, one) = allowed.overflowing_add(set);
    let (sum, two) = sum.overflowing_add(u64::from(*carry));
    *carry = one || two;
    ((sum ^ allowed) | set) & allowed
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Sizes with a row in one word, in whole words and in words and a part.
    const SIZES: [[usize; 2]; 3] = [[13, 17], [9, 128], [7, 150]];

    fn drawn(share: f64) -> impl Strategy<Value = ([usize; 2], Vec<bool>)> {
        prop::sample::select(SIZES.to_vec()).prop_flat_map(move |[rows, columns]| {
            let cells = prop::collection::vec(prop::bool::weighted(share), rows * columns);
            (Just([rows, columns]), cells)
        })
    }

    fn set(cells: &[bool], columns: usize) -> Mask {
        Mask::of(cells, columns, |cell| *cell)
    }

    fn around([rows, columns]: [usize; 2], at: usize, reach: usize) -> impl Iterator<Item = usize> {
        let (row, column) = (at / columns, at % columns);
        let rows = row.saturating_sub(reach)..=(row + reach).min(rows - 1);
        rows.flat_map(move |row| {
            (column.saturating_sub(reach)..=(column + reach).min(columns - 1)).map(move |column| row * columns + column)
        })
    }

    fn reached_slowly(size: [usize; 2], cells: &[bool], from: usize, neighbours: Neighbours) -> BTreeSet<usize> {
        let (mut found, mut to_visit) = (BTreeSet::new(), vec![from]);
        while let Some(at) = to_visit.pop() {
            if cells[at] && found.insert(at) {
                let beside = |near: &usize| *near / size[1] == at / size[1] || *near % size[1] == at % size[1];
                to_visit.extend(
                    around(size, at, 1).filter(|near| neighbours == Neighbours::SidesAndCorners || beside(near)),
                );
            }
        }
        found
    }

    /// Morphological opening by its definition.
    fn opened_slowly([rows, columns]: [usize; 2], cells: &[bool], side: usize) -> BTreeSet<usize> {
        let corners = (0..=rows - side).flat_map(|top| (0..=columns - side).map(move |left| (top, left)));
        let square = |(top, left): (usize, usize)| {
            (top..top + side).flat_map(move |row| (left..left + side).map(move |column| row * columns + column))
        };
        corners.filter(|corner| square(*corner).all(|at| cells[at])).flat_map(square).collect()
    }

    #[test]
    fn the_border_is_what_has_no_pixel_beyond_it() {
        let border: Vec<usize> = Mask::border(3, 70).pixels().collect();
        let expected: Vec<usize> = (0..210).filter(|at| *at < 71 || *at >= 139).collect();
        assert_eq!(border, expected);
    }

    proptest! {
        #[test]
        fn a_set_gives_back_its_pixels((size, cells) in drawn(0.3)) {
            let found = set(&cells, size[1]);
            let expected: Vec<usize> = (0..cells.len()).filter(|at| cells[*at]).collect();
            prop_assert_eq!(found.pixels().collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(found.count(), expected.len());
            prop_assert_eq!(found.clone().complement().count(), cells.len() - expected.len());
            prop_assert_eq!(Mask::from_words(size[0], size[1], found.words().into_owned()), found);
        }

        #[test]
        fn growing_and_shrinking_are_what_their_squares_say((size, cells) in drawn(0.4), reach in 0_usize..4) {
            let found = set(&cells, size[1]);
            let grown: Vec<usize> =
                (0..cells.len()).filter(|at| around(size, *at, reach).any(|near| cells[near])).collect();
            prop_assert_eq!(found.grown(reach).pixels().collect::<Vec<_>>(), grown);
            let shrunk: Vec<usize> =
                (0..cells.len()).filter(|at| around(size, *at, reach).all(|near| cells[near])).collect();
            prop_assert_eq!(found.shrunk(reach).pixels().collect::<Vec<_>>(), shrunk);
        }

        #[test]
        fn opening_is_the_union_of_the_squares_that_fit((size, cells) in drawn(0.85), side in 1_usize..6) {
            let opened: BTreeSet<usize> = set(&cells, size[1]).opened(side).pixels().collect();
            prop_assert_eq!(opened, opened_slowly(size, &cells, side));
        }

        #[test]
        fn spans_are_from_the_first_to_the_last((size, cells) in drawn(0.1), row in 0_usize..7) {
            let [_, columns] = size;
            let found = set(&cells, columns);
            let enclosed: Vec<usize> = (0..cells.len())
                .filter(|at| {
                    let beside = (at % columns..cells.len()).step_by(columns);
                    let mut set_there = beside.filter(|near| cells[*near]);
                    let first = set_there.next();
                    first.is_some_and(|first| first <= *at && set_there.next_back().unwrap_or(first) >= *at)
                })
                .collect();
            prop_assert_eq!(found.enclosed_in_columns().pixels().collect::<Vec<_>>(), enclosed);
            let of_row: Vec<usize> = (0..columns).filter(|column| cells[row * columns + column]).collect();
            prop_assert_eq!(found.span_in_row(row), of_row.first().copied().zip(of_row.last().copied()));
            let rows: Vec<usize> = found.pixels().map(|at| at / columns).collect();
            prop_assert_eq!(found.span_of_rows(), rows.first().copied().zip(rows.last().copied()));
            let in_rows: Vec<usize> = found.pixels().filter(|at| at / columns <= row).collect();
            prop_assert_eq!(found.in_rows(0..=row).pixels().collect::<Vec<_>>(), in_rows);
        }

        #[test]
        fn what_is_reached_hangs_together((size, cells) in drawn(0.6), from in 0_usize..221, corners: bool) {
            let neighbours = if corners { Neighbours::SidesAndCorners } else { Neighbours::Sides };
            let mut seed = Mask::empty(size[0], size[1]);
            seed.insert(from);
            let found: BTreeSet<usize> = set(&cells, size[1]).reached(&seed, neighbours).pixels().collect();
            prop_assert_eq!(found, reached_slowly(size, &cells, from, neighbours));
        }

        #[test]
        fn regions_are_apart_and_make_up_the_set((size, cells) in drawn(0.5)) {
            let whole = set(&cells, size[1]);
            let regions = whole.regions(Neighbours::SidesAndCorners);
            prop_assert_eq!(regions.iter().map(Mask::count).sum::<usize>(), whole.count());
            for (at, region) in regions.iter().enumerate() {
                let others = regions[at + 1..].iter();
                prop_assert!(others.map(|other| other.grown(1).common_with(region)).all(|common| common.is_empty()));
            }
        }
    }
}
