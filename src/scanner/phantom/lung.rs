//! One lung: its extent, the trees of vessels and bronchi in it, the density of its tissue.

use super::field::{Noise, Point, SplitMix, ease, mix, point, soft_min};
use super::organs::{AIRWAYS, HILA, KEEP_OFF, MEDIASTINUM, Organ, Tube};
use super::thorax::{Outline, Side, above_diaphragm};

/// z at which the recesses of the pleura end, mm.
const LOWEST: f32 = -128.0;

/// Distances inside a lung, mm.
#[derive(Debug, Clone, Copy)]
pub(super) struct Depth {
    /// To the nearest surface; negative outside the lung.
    pub surface: f32,
    /// To the ribs, whatever lies nearer.
    pub wall: f32,
}

/// How much air the lungs hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Breath {
    /// How much higher the diaphragm stands than after breathing in, mm.
    pub raised_mm: f32,
    /// How much denser the lung is in the middle of its depth, HU.
    denser: f32,
    /// And how much more for each mm towards the back.
    denser_a_mm: f32,
}

impl Breath {
    pub(super) const IN: Self = Self { raised_mm: 0.0, denser: 0.0, denser_a_mm: 0.0 };
    /// As lungs are at the end of expiration: a median of about -720 HU.
    pub(super) const OUT: Self = Self { raised_mm: 32.0, denser: 140.0, denser_a_mm: 1.1 };

    /// How much denser the lung is here, HU.
    pub(super) fn denser_at(self, p: Point) -> f32 {
        (self.denser + self.denser_a_mm * p.y).max(0.0)
    }
}

/// What surrounds the lungs at one height: the outlines, and the organs that can touch the plane; most do not.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    pub outline: Outline,
    pub organs: Vec<Nearby>,
    breath: Breath,
}

/// An organ with the rectangle outside of which it does not matter, mm.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nearby {
    pub organ: Organ,
    low: (f32, f32),
    high: (f32, f32),
}

impl Nearby {
    const REACH: f32 = 14.0;

    fn new(organ: Organ) -> Self {
        let (low, high) = organ.shape.bounds();
        Self {
            organ,
            low: (low.x - Self::REACH, low.y - Self::REACH),
            high: (high.x + Self::REACH, high.y + Self::REACH),
        }
    }

    /// Signed distance, mm; none where it is large.
    pub(super) fn distance(&self, p: Point) -> Option<f32> {
        let near = (self.low.0..self.high.0).contains(&p.x) && (self.low.1..self.high.1).contains(&p.y);
        near.then(|| self.organ.shape.distance(p))
    }
}

impl Surroundings {
    pub(super) fn at(z: f32, breath: Breath) -> Self {
        let reaches = |organ: &&Organ| {
            let (low, high) = organ.shape.bounds();
            (low.z - Nearby::REACH..=high.z + Nearby::REACH).contains(&z)
        };
        let organs = MEDIASTINUM.iter().filter(reaches).copied().map(Nearby::new).collect();
        Self { outline: Outline::at(z), organs, breath }
    }

    /// Height above the diaphragm, mm across its surface; negative in the abdomen.
    pub(super) fn above_diaphragm(&self, side: Side, p: Point) -> f32 {
        above_diaphragm(side, point(p.x, p.y, p.z - self.breath.raised_mm))
    }

    /// Where a point of this height lies in the lung of its side.
    pub(super) fn depth(&self, p: Point) -> Depth {
        self.depth_below(p, -self.outline.chest_wall(Side::of(p.x), p))
    }

    /// As [`depth`](Self::depth), for a caller that knows the distance to the chest wall.
    pub(super) fn depth_below(&self, p: Point, wall: f32) -> Depth {
        /// Beyond this distance from the middle, nothing of it is within reach, mm.
        const MIDDLE_ENDS: f32 = 98.0;
        const BLEND: f32 = 7.0;
        let side = Side::of(p.x);
        let above = self.above_diaphragm(side, p);
        let lowest = LOWEST + self.breath.raised_mm;
        let outer = wall.min(above).min(0.7 * (p.z - lowest)).min(p.x * side.sign() - 1.5);
        if outer < -6.0 || p.x.abs() > MIDDLE_ENDS {
            return Depth { surface: outer, wall };
        }
        let columns = KEEP_OFF.iter().map(|column| column.distance(p));
        let airways = AIRWAYS[..5].iter().map(|airway| airway.distance(p) - 4.0);
        let organs = self.organs.iter().filter_map(|nearby| Some(nearby.distance(p)? - nearby.organ.margin));
        let middle = columns
            .chain(airways)
            .chain(organs)
            .fold(spine(p).min(front_wedge(p)), |nearest, next| soft_min(nearest, next, BLEND));
        Depth { surface: outer.min(middle), wall }
    }
}

/// Distance to the spine: body, heads of the ribs, the muscles beside the arches.
fn spine(p: Point) -> f32 {
    let across = (p.x.abs() - 34.0).max(0.0);
    let back = 86.0 - 0.66 * (34.0 - p.x.abs()).max(0.0);
    let gutter = across.hypot((p.y - back).min(0.0));
    let body = (p.x / 22.0).hypot((p.y - 56.0) / 19.0) * 20.0 - 20.0;
    (gutter - 7.0).min(body)
}

/// Distance to the fat behind the sternum: a wedge, with a thin fold towards the heart.
fn front_wedge(p: Point) -> f32 {
    let half_width = 1.0 + 0.5 * (-p.y - 52.0).max(0.0);
    ((p.x - 2.0).abs() - half_width) * 0.89
}

/// CT number of healthy tissue, HU: denser at the back and towards the base, uneven like secondary lobules.
pub(super) fn tissue(p: Point, noise: Noise) -> f32 {
    let gravity = 0.28 * p.y;
    let base = 14.0 * ease(20.0, -100.0, p.z);
    let fissure = 210.0 * fissure(p, noise);
    -872.0 + gravity + base + 16.0 * noise.at(p, 11.0) + 18.0 * noise.at(p, 3.1) + fissure
}

/// How much of a pixel the oblique fissure fills, 0..1.
fn fissure(p: Point, noise: Noise) -> f32 {
    // From behind and above (y 66, z 58) to in front and below (y -62, z -78).
    let along = ((p.y - 66.0) * 136.0 - (p.z - 58.0) * 128.0) / 186.8;
    if along.abs() > 7.0 {
        return 0.0;
    }
    let wave = 4.0 * noise.at(point(p.x, p.y, 0.0), 45.0);
    (1.0 - (along - wave).abs() / 0.9).max(0.0)
}

/// All tubes of both lungs.
#[derive(Debug, Clone)]
pub(super) struct Trees {
    pub vessels: Vec<Tube>,
    pub bronchi: Vec<Tube>,
}

impl Trees {
    pub(super) fn grow(seed: u64) -> Self {
        let mut trees = Self { vessels: Vec::new(), bronchi: Vec::new() };
        for (stream, side) in Side::BOTH.into_iter().enumerate() {
            let mut generator = SplitMix::new(seed, 10 + stream as u64);
            let hilum = HILA[stream];
            let arteries = scatter(side, 9.5, 3.5, &mut generator);
            trees.vessels.extend(branch(hilum, &arteries, 0.40));
            let veins = scatter(side, 11.5, 5.0, &mut generator);
            let below = point(hilum.x, hilum.y - 6.0, hilum.z - 14.0);
            trees.vessels.extend(branch(below, &veins, 0.45));
            let airways = scatter(side, 27.0, 16.0, &mut generator);
            trees.bronchi.extend(branch(hilum, &airways, 0.75));
        }
        trees
    }
}

/// One point at random in each cube of `step` mm that lies at least `inset` mm inside the lung.
fn scatter(side: Side, step: f32, inset: f32, generator: &mut SplitMix) -> Vec<Point> {
    let (layers, rows, columns) = ((270.0 / step) as usize, (180.0 / step) as usize, (130.0 / step) as usize);
    let mut points = Vec::new();
    for layer in 0..layers {
        let low = -140.0 + layer as f32 * step;
        let surroundings = Surroundings::at(low + 0.5 * step, Breath::IN);
        for cell in 0..rows * columns {
            let (row, column) = (cell / columns, cell % columns);
            let p = point(
                (column as f32 + generator.unit()) * step * side.sign(),
                -88.0 + (row as f32 + generator.unit()) * step,
                low + generator.unit() * step,
            );
            if surroundings.depth(p).surface > inset {
                points.push(p);
            }
        }
    }
    points
}

/// Joins every target to the tree from `root`, nearest first, weighing the new branch against the whole way from the root:
/// this gives the look of vessels, neither a star nor a random walk. Radii follow Murray's law.
fn branch(root: Point, targets: &[Point], tip_radius: f32) -> Vec<Tube> {
    const WAY_WEIGHT: f32 = 0.45;
    const MURRAY: f32 = 1.0 / 2.55;
    struct Reach {
        cost: f32,
        parent: Option<usize>,
        joined: bool,
        way: f32,
    }
    let mut reach: Vec<Reach> = targets
        .iter()
        .map(|target| Reach { cost: root.distance(*target), parent: None, joined: false, way: 0.0 })
        .collect();
    let mut order = Vec::with_capacity(targets.len());
    while let Some(next) = (0..targets.len())
        .filter(|index| !reach[*index].joined)
        .min_by(|a, b| reach[*a].cost.total_cmp(&reach[*b].cost))
    {
        let from = reach[next].parent;
        let start = from.map_or(root, |parent| targets[parent]);
        let way = from.map_or(0.0, |parent| reach[parent].way) + start.distance(targets[next]);
        reach[next].joined = true;
        reach[next].way = way;
        order.push(next);
        for (index, other) in reach.iter_mut().enumerate() {
            if !other.joined {
                let cost = targets[index].distance(targets[next]) + WAY_WEIGHT * way;
                if cost < other.cost {
                    other.cost = cost;
                    other.parent = Some(next);
                }
            }
        }
    }
    let mut tips = vec![1.0_f32; targets.len()];
    for index in order.iter().rev() {
        if let Some(parent) = reach[*index].parent {
            tips[parent] += tips[*index];
        }
    }
    order
        .into_iter()
        .map(|index| {
            let radius = tip_radius * tips[index].powf(MURRAY);
            let parent = reach[index].parent;
            let start = parent.map_or(root, |parent| targets[parent]);
            // A small branch leaves a large one with its own radius, with a short flare.
            let parent_radius = parent.map_or(radius, |parent| tip_radius * tips[parent].powf(MURRAY));
            Tube {
                from: start,
                to: targets[index],
                from_radius: mix(radius, parent_radius, 0.25),
                to_radius: radius * 0.94,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume_litres(side: Side) -> f32 {
        let step = 6.0;
        let mut inside = 0;
        for layer in 0..45 {
            let z = -140.0 + layer as f32 * step;
            let surroundings = Surroundings::at(z, Breath::IN);
            for row in 0..30 {
                for column in 0..23 {
                    let x = (column as f32 + 0.5) * step * side.sign();
                    let p = point(x, -90.0 + row as f32 * step, z);
                    inside += usize::from(surroundings.depth(p).surface > 0.0);
                }
            }
        }
        inside as f32 * step.powi(3) / 1e6
    }

    #[test]
    fn the_lungs_have_the_volume_of_an_adult_and_the_right_one_is_larger() {
        let (right, left) = (volume_litres(Side::Right), volume_litres(Side::Left));
        assert!((1.6..3.6).contains(&right), "{right} l");
        assert!((1.4..3.2).contains(&left), "{left} l");
        assert!(right > left, "{right} l, {left} l");
    }

    #[test]
    fn a_tree_reaches_all_its_targets_and_tapers() {
        let mut generator = SplitMix::new(1, 2);
        let targets: Vec<Point> = (0..60)
            .map(|_| {
                point(generator.between(20.0, 90.0), generator.between(-50.0, 50.0), generator.between(-50.0, 50.0))
            })
            .collect();
        let tubes = branch(point(0.0, 0.0, 0.0), &targets, 0.5);
        assert_eq!(tubes.len(), targets.len());
        let thickest = tubes.iter().map(Tube::widest).fold(0.0, f32::max);
        assert!(thickest > 1.2, "{thickest}");
        assert!(tubes.iter().all(|t| t.to_radius <= t.from_radius));
    }
}
