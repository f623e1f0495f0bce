//! The small mathematics the phantom is drawn with: points in patient space, soft steps, repeatable noise.

/// A point in patient space (LPS: x to the patient's left, y to the back, z to the head), mm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub x: f32,
    pub y: f32,
    pub z: f32,
}

pub(super) const fn point(x: f32, y: f32, z: f32) -> Point {
    Point { x, y, z }
}

impl Point {
    pub(super) fn distance(self, other: Self) -> f32 {
        let (x, y, z) = (self.x - other.x, self.y - other.y, self.z - other.z);
        (x * x + y * y + z * z).sqrt()
    }
}

/// Hermite step: 0 at `from` and before, 1 at `to` and beyond; `from` may be the larger.
pub(super) fn ease(from: f32, to: f32, value: f32) -> f32 {
    let t = ((value - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

pub(super) fn mix(from: f32, to: f32, share: f32) -> f32 {
    from + (to - from) * share
}

/// Minimum of two distances with a fillet of about `blend` mm where they meet.
pub(super) fn soft_min(a: f32, b: f32, blend: f32) -> f32 {
    let overlap = (blend - (a - b).abs()).max(0.0) / blend;
    a.min(b) - overlap * overlap * blend * 0.25
}

/// `value^2.5` without `powf`: the exponent of every superellipse here.
pub(super) fn pow_2_5(value: f32) -> f32 {
    value * value * value.sqrt()
}

/// Signed distance along the ray from the centre to a superellipse of exponent 2.5, mm; negative inside.
pub(super) fn superellipse(x: f32, y: f32, half_width: f32, half_depth: f32) -> f32 {
    let reach = pow_2_5((x / half_width).abs()) + pow_2_5((y / half_depth).abs());
    if reach < 1e-4 {
        return -half_width.min(half_depth);
    }
    (x * x + y * y).sqrt() * (1.0 - reach.powf(-0.4))
}

/// `SplitMix64`. Not `rand`'s `StdRng`: the phantom of a seed must stay the same when that crate changes its generator.
#[derive(Debug, Clone)]
pub(super) struct SplitMix(u64);

impl SplitMix {
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut generator = Self(seed ^ stream.wrapping_mul(0xA076_1D64_78BD_642F));
        generator.next();
        generator
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// Uniform in 0..1.
    pub(super) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        mix(low, high, self.unit())
    }

    /// Nearly Gaussian, mean 0, standard deviation 1: the sum of four uniforms from one draw.
    pub(super) fn gaussian(&mut self) -> f32 {
        let bits = self.next();
        let sum = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48);
        (sum as f32 / 65535.0 - 2.0) * 1.732_050_8
    }
}

/// Smooth noise on a lattice, the same for a seed at every point whatever is asked first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noise {
    seed: u32,
}

impl Noise {
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        Self { seed: SplitMix::new(seed, stream).next() as u32 }
    }

    /// -1..1, features about `scale` mm across.
    pub(super) fn at(self, p: Point, scale: f32) -> f32 {
        let (x, y, z) = (p.x / scale, p.y / scale, p.z / scale);
        let (ix, iy, iz) = (floor(x), floor(y), floor(z));
        let (fx, fy, fz) = (fade(x - ix as f32), fade(y - iy as f32), fade(z - iz as f32));
        let row = |dy: i32, dz: i32| mix(self.corner(ix, iy + dy, iz + dz), self.corner(ix + 1, iy + dy, iz + dz), fx);
        let near = mix(row(0, 0), row(1, 0), fy);
        let far = mix(row(0, 1), row(1, 1), fy);
        mix(near, far, fz)
    }

    fn corner(self, x: i32, y: i32, z: i32) -> f32 {
        let mut bits = (x as u32).wrapping_mul(0x9E37_79B1)
            ^ (y as u32).wrapping_mul(0x85EB_CA77)
            ^ (z as u32).wrapping_mul(0xC2B2_AE3D)
            ^ self.seed;
        bits = (bits ^ (bits >> 15)).wrapping_mul(0x2C1B_3C6D);
        bits = (bits ^ (bits >> 12)).wrapping_mul(0x297A_2D39);
        bits ^= bits >> 15;
        (bits >> 8) as f32 / (1u32 << 23) as f32 - 1.0
    }
}

/// `f32::floor` is a call into the C library where the CPU is not known to have SSE 4.1, and this is the hottest line here.
fn floor(value: f32) -> i32 {
    let towards_zero = value as i32;
    towards_zero - i32::from(towards_zero as f32 > value)
}

fn fade(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_the_mean_and_spread_it_says() {
        let mut generator = SplitMix::new(5, 1);
        let draws: Vec<f32> = (0..40_000).map(|_| generator.gaussian()).collect();
        let mean = draws.iter().sum::<f32>() / draws.len() as f32;
        let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f32>() / draws.len() as f32;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.03, "{variance}");
    }

    #[test]
    fn a_superellipse_is_zero_on_its_axes_and_negative_inside() {
        assert!(superellipse(100.0, 0.0, 100.0, 60.0).abs() < 1e-3);
        assert!(superellipse(0.0, -60.0, 100.0, 60.0).abs() < 1e-3);
        assert!(superellipse(10.0, 5.0, 100.0, 60.0) < 0.0);
        assert!(superellipse(110.0, 5.0, 100.0, 60.0) > 0.0);
    }

    #[test]
    fn lattice_noise_is_the_same_for_a_seed_and_stays_in_range() {
        let (first, second) = (Noise::new(3, 9), Noise::new(3, 9));
        for step in 0..200 {
            let p = point(step as f32 * 1.7, -40.0 + step as f32, 3.3);
            assert_eq!(first.at(p, 8.0).to_bits(), second.at(p, 8.0).to_bits());
            assert!(first.at(p, 8.0).abs() <= 1.0);
        }
    }
}
