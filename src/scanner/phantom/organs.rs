//! What lies between and below the lungs, as tubes and ellipsoids with a CT number each.

use super::field::{Point, point};

/// A tapering tube with round ends; a straight vessel, an airway.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tube {
    pub from: Point,
    pub to: Point,
    pub from_radius: f32,
    pub to_radius: f32,
}

impl Tube {
    /// Signed distance to the wall, mm, negative inside.
    pub(super) fn distance(&self, p: Point) -> f32 {
        let axis = point(self.to.x - self.from.x, self.to.y - self.from.y, self.to.z - self.from.z);
        let offset = point(p.x - self.from.x, p.y - self.from.y, p.z - self.from.z);
        let length_squared = axis.x * axis.x + axis.y * axis.y + axis.z * axis.z;
        let along =
            ((offset.x * axis.x + offset.y * axis.y + offset.z * axis.z) / length_squared.max(1e-6)).clamp(0.0, 1.0);
        let (x, y, z) = (offset.x - along * axis.x, offset.y - along * axis.y, offset.z - along * axis.z);
        let radius = self.from_radius + (self.to_radius - self.from_radius) * along;
        (x * x + y * y + z * z).sqrt() - radius
    }

    pub(super) fn widest(&self) -> f32 {
        self.from_radius.max(self.to_radius)
    }

    /// The corners of a box around it, the lower in every coordinate first.
    pub(super) fn bounds(&self) -> (Point, Point) {
        let (from, to, radius) = (self.from, self.to, self.widest());
        (
            point(from.x.min(to.x) - radius, from.y.min(to.y) - radius, from.z.min(to.z) - radius),
            point(from.x.max(to.x) + radius, from.y.max(to.y) + radius, from.z.max(to.z) + radius),
        )
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Tube(Tube),
    Ellipsoid { centre: Point, radii: Point },
}

impl Shape {
    /// Signed distance, mm, negative inside; for an ellipsoid good near its surface.
    pub(super) fn distance(&self, p: Point) -> f32 {
        match self {
            Self::Tube(tube) => tube.distance(p),
            Self::Ellipsoid { centre, radii } => {
                let (x, y, z) = ((p.x - centre.x) / radii.x, (p.y - centre.y) / radii.y, (p.z - centre.z) / radii.z);
                let reach = (x * x + y * y + z * z).sqrt();
                let (sx, sy, sz) = (x / radii.x, y / radii.y, z / radii.z);
                let steepness = (sx * sx + sy * sy + sz * sz).sqrt().max(1e-4);
                (reach - 1.0) * reach.max(0.2) / steepness
            }
        }
    }

    /// The corners of a box around it, the lower in every coordinate first.
    pub(super) fn bounds(&self) -> (Point, Point) {
        match self {
            Self::Tube(tube) => tube.bounds(),
            Self::Ellipsoid { centre, radii } => (
                point(centre.x - radii.x, centre.y - radii.y, centre.z - radii.z),
                point(centre.x + radii.x, centre.y + radii.y, centre.z + radii.z),
            ),
        }
    }
}

/// A shape of the mediastinum and how far the lung keeps away from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Organ {
    pub shape: Shape,
    /// Fat between the organ and the pleura, mm.
    pub margin: f32,
}

const fn tube(from: Point, to: Point, from_radius: f32, to_radius: f32) -> Tube {
    Tube { from, to, from_radius, to_radius }
}

const fn vessel(from: Point, to: Point, from_radius: f32, to_radius: f32, margin: f32) -> Organ {
    Organ { shape: Shape::Tube(tube(from, to, from_radius, to_radius)), margin }
}

const fn chamber(centre: Point, radii: Point, margin: f32) -> Organ {
    Organ { shape: Shape::Ellipsoid { centre, radii }, margin }
}

/// Where arteries, veins and bronchi enter the right and left lung.
pub(super) const HILA: [Point; 2] = [point(-44.0, 10.0, 16.0), point(46.0, 14.0, 18.0)];

/// Heart, great vessels, oesophagus: blood and muscle without contrast medium.
#[rustfmt::skip]
pub(super) const MEDIASTINUM: [Organ; 29] = [
    // heart: right ventricle and atrium, left ventricle, left atrium
    chamber(point(2.0, -36.0, -36.0), point(43.0, 34.0, 42.0), 4.0),
    chamber(point(-22.0, -20.0, -24.0), point(24.0, 30.0, 38.0), 3.0),
    chamber(point(40.0, -22.0, -44.0), point(42.0, 36.0, 40.0), 4.0),
    chamber(point(6.0, 8.0, -6.0), point(34.0, 19.0, 22.0), 2.0),
    // aorta: root and ascending, arch, descending
    vessel(point(-4.0, -24.0, -6.0), point(-14.0, -24.0, 24.0), 15.0, 16.0, 3.0),
    vessel(point(-14.0, -24.0, 24.0), point(-13.0, -20.0, 56.0), 16.0, 15.0, 3.0),
    vessel(point(-13.0, -20.0, 56.0), point(-3.0, -9.0, 70.0), 15.0, 14.0, 3.0),
    vessel(point(-3.0, -9.0, 70.0), point(13.0, 12.0, 71.0), 14.0, 13.0, 2.0),
    vessel(point(13.0, 12.0, 71.0), point(22.0, 31.0, 58.0), 13.0, 12.5, 2.0),
    vessel(point(22.0, 31.0, 58.0), point(22.0, 37.0, -40.0), 12.5, 12.0, 1.5),
    vessel(point(22.0, 37.0, -40.0), point(8.0, 36.0, -160.0), 12.0, 11.0, 1.5),
    // branches of the arch
    vessel(point(-6.0, -10.0, 74.0), point(-20.0, -4.0, 132.0), 6.5, 5.0, 3.0),
    vessel(point(5.0, 0.0, 76.0), point(14.0, -2.0, 150.0), 4.5, 4.0, 3.0),
    vessel(point(14.0, 12.0, 76.0), point(30.0, 6.0, 132.0), 5.0, 4.5, 3.0),
    // pulmonary trunk, left and right artery, their first branches
    vessel(point(10.0, -36.0, 4.0), point(18.0, -18.0, 32.0), 14.0, 14.0, 3.0),
    vessel(point(18.0, -18.0, 32.0), point(42.0, 12.0, 26.0), 12.0, 9.0, 1.0),
    vessel(point(16.0, -10.0, 26.0), point(-38.0, 4.0, 20.0), 11.0, 9.0, 1.0),
    vessel(point(-38.0, 4.0, 20.0), point(-47.0, 12.0, -8.0), 8.0, 6.0, 0.0),
    vessel(point(42.0, 12.0, 26.0), point(50.0, 22.0, -4.0), 8.0, 6.0, 0.0),
    // pulmonary veins into the left atrium
    vessel(point(-14.0, 8.0, -2.0), point(-46.0, 2.0, 6.0), 7.0, 5.0, 0.0),
    vessel(point(20.0, 8.0, 0.0), point(50.0, 4.0, 8.0), 7.0, 5.0, 0.0),
    vessel(point(-14.0, 12.0, -10.0), point(-44.0, 22.0, -14.0), 6.0, 5.0, 0.0),
    vessel(point(20.0, 12.0, -10.0), point(46.0, 24.0, -12.0), 6.0, 5.0, 0.0),
    // caval and brachiocephalic veins
    vessel(point(-26.0, -14.0, 92.0), point(-27.0, -8.0, 0.0), 9.0, 9.5, 2.0),
    vessel(point(-26.0, -14.0, 92.0), point(-38.0, -22.0, 130.0), 7.0, 6.0, 3.0),
    vessel(point(-24.0, -18.0, 90.0), point(30.0, -28.0, 106.0), 7.0, 6.0, 3.0),
    vessel(point(-24.0, 2.0, -40.0), point(-22.0, 14.0, -160.0), 13.0, 12.0, 1.0),
    // oesophagus
    vessel(point(6.0, 30.0, 150.0), point(8.0, 34.0, -50.0), 6.5, 7.0, 2.0),
    vessel(point(8.0, 34.0, -50.0), point(20.0, 22.0, -90.0), 7.0, 8.0, 2.0),
];

/// The trachea and its bronchi as far as they lie in the mediastinum; walls are added by the painter.
pub(super) const AIRWAYS: [Tube; 8] = [
    tube(point(0.0, 6.0, 160.0), point(-2.0, 15.0, 49.0), 9.0, 8.8),
    tube(point(-2.0, 15.0, 49.0), point(-20.0, 17.0, 37.0), 7.2, 7.0),
    tube(point(-20.0, 17.0, 37.0), point(-36.0, 17.0, 28.0), 6.8, 5.0),
    tube(point(-20.0, 17.0, 37.0), point(-38.0, 20.0, 2.0), 6.4, 5.4),
    tube(point(-2.0, 15.0, 49.0), point(18.0, 19.0, 34.0), 6.6, 6.3),
    tube(point(18.0, 19.0, 34.0), point(38.0, 20.0, 20.0), 6.2, 5.4),
    tube(point(38.0, 20.0, 20.0), point(44.0, 26.0, -4.0), 5.0, 4.6),
    tube(point(-38.0, 20.0, 2.0), point(-42.0, 26.0, -16.0), 5.2, 4.6),
];

/// Columns of fat that keep the lungs off the middle, before and behind the heart and around the great vessels.
#[rustfmt::skip]
pub(super) const KEEP_OFF: [Tube; 5] = [
    tube(point(6.0, 28.0, -44.0), point(6.0, 20.0, -160.0), 11.0, 34.0),
    tube(point(1.0, -30.0, 130.0), point(4.0, -40.0, -160.0), 10.0, 12.0),
    tube(point(0.0, 10.0, 130.0), point(4.0, 16.0, -160.0), 13.0, 14.0),
    tube(point(2.0, -14.0, 150.0), point(0.0, -16.0, 60.0), 26.0, 22.0),
    tube(point(2.0, 8.0, 150.0), point(0.0, 8.0, 64.0), 22.0, 17.0),
];

/// Distance to the liver, mm, negative inside, before the diaphragm cuts it off.
pub(super) fn liver(p: Point) -> f32 {
    let right_lobe = Shape::Ellipsoid { centre: point(-62.0, 2.0, -134.0), radii: point(84.0, 92.0, 92.0) };
    let left_lobe = Shape::Ellipsoid { centre: point(8.0, -40.0, -122.0), radii: point(62.0, 42.0, 56.0) };
    super::field::soft_min(right_lobe.distance(p), left_lobe.distance(p), 12.0)
}

/// The stomach; the air in it floats to the front.
pub(super) const STOMACH: Shape =
    Shape::Ellipsoid { centre: point(56.0, -6.0, -118.0), radii: point(40.0, 52.0, 50.0) };

pub(super) const SPLEEN: Shape = Shape::Ellipsoid { centre: point(90.0, 40.0, -122.0), radii: point(32.0, 46.0, 50.0) };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tube_is_as_thick_as_it_says() {
        let straight = tube(point(0.0, 0.0, 0.0), point(0.0, 0.0, 10.0), 4.0, 2.0);
        assert!((straight.distance(point(4.0, 0.0, 0.0))).abs() < 1e-4);
        assert!((straight.distance(point(0.0, 2.0, 10.0))).abs() < 1e-4);
        assert!(straight.distance(point(0.0, 0.0, 5.0)) < -2.9);
        let (low, high) = straight.bounds();
        assert_eq!((low, high), (point(-4.0, -4.0, -4.0), point(4.0, 4.0, 14.0)));
    }

    #[test]
    fn the_heart_reaches_further_to_the_left_than_to_the_right() {
        let reach = |sign: f32| {
            (0..130)
                .rev()
                .find(|x| {
                    let p = point(*x as f32 * sign, -22.0, -40.0);
                    MEDIASTINUM[..4].iter().any(|o| o.shape.distance(p) < 0.0)
                })
                .unwrap_or(0)
        };
        assert!(reach(1.0) > reach(-1.0) + 20);
    }
}
