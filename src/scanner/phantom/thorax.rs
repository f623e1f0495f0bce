//! The trunk: skin, chest wall, pleural cavities, diaphragm.
//!
//! Everything is a distance along a ray or a slope-corrected height in mm, so that a caller can draw soft edges.
//! The origin is in the middle of the body; z = 0 lies about 47 mm below the carina.

use super::field::{Point, ease, mix, soft_min, superellipse};

/// One half of the chest. `sign` is that of its x (LPS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Right,
    Left,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Right, Self::Left];

    pub(super) fn of(x: f32) -> Self {
        if x < 0.0 { Self::Right } else { Self::Left }
    }

    pub(super) const fn sign(self) -> f32 {
        match self {
            Self::Right => -1.0,
            Self::Left => 1.0,
        }
    }

    /// z of the lung's highest point, mm.
    pub(super) const fn apex(self) -> f32 {
        match self {
            Self::Right => 118.0,
            Self::Left => 120.0,
        }
    }

    /// z of the diaphragm's dome, mm; the right one stands higher, over the liver.
    const fn dome(self) -> f32 {
        match self {
            Self::Right => -54.0,
            Self::Left => -67.0,
        }
    }
}

/// The trunk's outlines at one height: what does not change within a slice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outline {
    z: f32,
    skin: (f32, f32, f32),
    cavities: [Option<Cavity>; 2],
}

/// The cross-section of one pleural cavity, mm.
#[derive(Debug, Clone, Copy)]
struct Cavity {
    centre_x: f32,
    centre_y: f32,
    half_width: f32,
    half_depth: f32,
}

impl Outline {
    pub(super) fn at(z: f32) -> Self {
        let shoulder = ease(70.0, 150.0, z);
        Self {
            z,
            skin: (mix(160.0, 130.0, shoulder), mix(111.0, 88.0, shoulder), 4.0 + 4.0 * shoulder),
            cavities: Side::BOTH.map(|side| Cavity::at(side, z)),
        }
    }

    /// Distance to the skin, mm, negative inside the body.
    pub(super) fn skin(&self, p: Point) -> f32 {
        let (half_width, half_depth, centre_y) = self.skin;
        // The sides lean together towards the front.
        let y = p.y - centre_y;
        superellipse(p.x * (1.0 + 0.0006 * (-y).max(0.0)), y, half_width, half_depth)
    }

    /// Distance to the inner chest wall of one side, mm, negative in the cavity. Above the apex there is none.
    pub(super) fn chest_wall(&self, side: Side, p: Point) -> f32 {
        let Some(cavity) = self.cavities[side as usize] else {
            return 40.0;
        };
        let (x, y) = (p.x - cavity.centre_x, p.y - cavity.centre_y);
        let narrowing = 1.0 + 0.0011 * (-y).max(0.0);
        superellipse(x * narrowing, y, cavity.half_width, cavity.half_depth)
    }

    pub(super) const fn z(&self) -> f32 {
        self.z
    }
}

impl Cavity {
    fn at(side: Side, z: f32) -> Option<Self> {
        const AXIS: f32 = 46.0;
        let height = (z / side.apex()).clamp(0.0, 1.0);
        if height >= 0.999 {
            return None;
        }
        let lateral = match side {
            Side::Right => 128.0,
            Side::Left => 125.0,
        };
        let towards_apex = ease(30.0, 112.0, z);
        let width_left = (1.0 - height.powf(2.1)).powf(0.56);
        Some(Self {
            centre_x: AXIS * towards_apex * side.sign(),
            centre_y: 2.0 + 10.0 * towards_apex,
            half_width: (lateral - AXIS) * width_left + AXIS * (1.0 - towards_apex),
            half_depth: 85.0 * (1.0 - height.powf(2.8)).powf(0.52),
        })
    }
}

/// Thickness of the fat under the skin at this place, mm.
pub(super) fn fat_thickness(p: Point) -> f32 {
    // Sine and cosine of the angle from the back, without the angle.
    let radius = p.x.hypot(p.y).max(1.0);
    let (sideways, backwards) = (p.x.abs() / radius, p.y / radius);
    8.0 + 5.0 * sideways + 4.0 * ease(0.6, 1.0, backwards)
}

/// Height above the diaphragm, mm across its surface; negative in the abdomen.
pub(super) fn above_diaphragm(side: Side, p: Point) -> f32 {
    const FALL: f32 = 74.0;
    // The centre lies in front of the cavity's: the recess behind reaches lowest, the one in front ends first.
    let dome = above_dome(p, (58.0 * side.sign(), -14.0, side.dome()), (76.0, 94.0), FALL);
    // The heart rests on the tendon between the domes.
    let tendon = above_dome(p, (10.0, -20.0, -75.0), (60.0, 62.0), 40.0);
    soft_min(dome, tendon, 14.0)
}

/// Height above a paraboloid with its `top`, that falls by `fall` mm at its `radii`.
fn above_dome(p: Point, top: (f32, f32, f32), radii: (f32, f32), fall: f32) -> f32 {
    let (x, y) = ((p.x - top.0) / radii.0, (p.y - top.1) / radii.1);
    let (slope_x, slope_y) = (2.0 * fall * x / radii.0, 2.0 * fall * y / radii.1);
    (p.z - top.2 + fall * (x * x + y * y)) / (1.0 + slope_x * slope_x + slope_y * slope_y).sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::field::point;
    use super::*;

    #[test]
    fn the_cavities_lie_inside_the_skin_with_a_wall_between() {
        for z in [-100.0, -20.0, 40.0, 90.0, 110.0] {
            let outline = Outline::at(z);
            for degrees in 0..360 {
                let (sin, cos) = (degrees as f32).to_radians().sin_cos();
                for radius in [60.0, 80.0, 100.0, 120.0] {
                    let p = point(radius * cos, radius * sin, z);
                    if outline.chest_wall(Side::of(p.x), p) < 0.0 {
                        assert!(outline.skin(p) < -8.0, "{p:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_recess_behind_reaches_lower_than_the_dome() {
        let dome = point(-58.0, -14.0, -60.0);
        assert!(above_diaphragm(Side::Right, dome) < 0.0);
        let recess = point(-58.0, 78.0, -100.0);
        assert!(above_diaphragm(Side::Right, recess) > 0.0);
    }
}
