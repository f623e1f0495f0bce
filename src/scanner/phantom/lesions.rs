//! Pneumonia: fuzzy ground glass, mostly at the periphery, at the back and towards the bases, with small consolidations.

use super::field::{Noise, Point, SplitMix, ease, mix, point};
use super::lung::{Breath, Depth, Surroundings};
use super::thorax::Side;

/// Share of the lung that is opacified.
const SHARE_OF_LUNG: f32 = 0.115;
/// Share of the opacities that is consolidated.
const SHARE_CONSOLIDATED: f32 = 0.07;
const PATCHES_PER_LUNG: usize = 17;

#[derive(Debug, Clone, Copy)]
struct Patch {
    centre: Point,
    radii: Point,
}

/// The opacities of one exam.
#[derive(Debug, Clone)]
pub(super) struct Lesions {
    patches: Vec<Patch>,
    noise: Noise,
    edge: f32,
    consolidated: f32,
}

/// What the disease does to one point of the lung.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    /// Share of the healthy CT number that is replaced, 0..1.
    pub share: f32,
    /// CT number that replaces it, HU.
    pub hounsfield: f32,
    /// Whether the ground truth counts the point as lesion.
    pub lesion: bool,
}

impl Lesions {
    /// Scatters the patches and finds the level of their field that opacifies the wanted share of the lung.
    pub(super) fn scatter(seed: u64) -> Self {
        let mut generator = SplitMix::new(seed, 20);
        let mut patches = Vec::new();
        for side in Side::BOTH {
            let mut tries = 0;
            let mut placed = 0;
            while placed < PATCHES_PER_LUNG && tries < 200_000 {
                tries += 1;
                let p = point(
                    generator.between(4.0, 128.0) * side.sign(),
                    generator.between(-86.0, 90.0),
                    generator.between(-128.0, 110.0),
                );
                let depth = Surroundings::at(p.z, Breath::IN).depth(p);
                if depth.surface > 0.5 && generator.unit() < liking(p, depth) {
                    placed += 1;
                    patches.push(Patch {
                        centre: p,
                        radii: point(
                            generator.between(16.0, 34.0),
                            generator.between(14.0, 28.0),
                            generator.between(14.0, 30.0),
                        ),
                    });
                }
            }
        }
        let mut lesions = Self { patches, noise: Noise::new(seed, 21), edge: 0.0, consolidated: 0.0 };
        let mut levels = lesions.levels_over_the_lung();
        let wanted = (levels.len() as f32 * SHARE_OF_LUNG) as usize;
        levels.sort_by(|a, b| b.total_cmp(a));
        lesions.edge = level_of_rank(&levels, wanted);
        lesions.consolidated = level_of_rank(&levels, (wanted as f32 * SHARE_CONSOLIDATED) as usize);
        lesions
    }

    /// The patches that can touch a plane.
    pub(super) fn near(&self, z: f32) -> Self {
        Self {
            patches: self
                .patches
                .iter()
                .filter(|patch| (patch.centre.z - z).abs() < 1.6 * patch.radii.z)
                .copied()
                .collect(),
            ..self.clone()
        }
    }

    pub(super) fn at(&self, p: Point, depth: Depth) -> Option<Change> {
        const FADE: f32 = 0.12;
        let level = self.level(p, depth)?;
        let opaque = ease(self.edge - FADE, self.edge + FADE, level);
        if opaque <= 0.0 {
            return None;
        }
        let texture = 60.0 * self.noise.at(p, 2.4) + 55.0 * self.noise.at(p, 7.0);
        // Thickened septa: thin bright lines where a smooth field changes sign.
        let septum = 110.0 * ease(0.10, 0.02, self.noise.at(p, 6.0).abs());
        let denser = 120.0 * ease(self.edge, self.consolidated, level);
        let glass = -640.0 + texture + septum + denser;
        let solid = ease(self.consolidated - 0.05, self.consolidated + 0.10, level);
        Some(Change { share: opaque, hounsfield: mix(glass, -30.0 + 0.5 * texture, solid), lesion: level > self.edge })
    }

    fn level(&self, p: Point, depth: Depth) -> Option<f32> {
        let strongest = self
            .patches
            .iter()
            .map(|patch| {
                let (x, y, z) = (
                    (p.x - patch.centre.x) / patch.radii.x,
                    (p.y - patch.centre.y) / patch.radii.y,
                    (p.z - patch.centre.z) / patch.radii.z,
                );
                1.0 - (x * x + y * y + z * z).sqrt()
            })
            .fold(f32::NEG_INFINITY, f32::max);
        (strongest > -0.6).then(|| {
            let ragged = 0.42 * self.noise.at(p, 12.0) + 0.22 * self.noise.at(p, 4.5);
            strongest + ragged - 0.011 * depth.wall.max(0.0)
        })
    }

    /// The field at evenly spaced points of both lungs; where no patch reaches it is minus infinity.
    fn levels_over_the_lung(&self) -> Vec<f32> {
        const STEP: f32 = 5.0;
        let mut levels = Vec::new();
        for layer in 0..52 {
            let z = -138.0 + layer as f32 * STEP;
            let surroundings = Surroundings::at(z, Breath::IN);
            let here = self.near(z);
            for cell in 0..36 * 52 {
                let p = point(-130.0 + (cell % 52) as f32 * STEP, -88.0 + (cell / 52) as f32 * STEP, z);
                let depth = surroundings.depth(p);
                if depth.surface > 0.0 {
                    levels.push(here.level(p, depth).unwrap_or(f32::NEG_INFINITY));
                }
            }
        }
        levels
    }
}

/// How readily a patch starts at a point: near the ribs, at the back, low.
fn liking(p: Point, depth: Depth) -> f32 {
    let periphery = (-depth.wall.max(0.0) / 11.0).exp();
    let back = 0.12 + 0.88 * ease(-40.0, 60.0, p.y);
    let base = 0.22 + 0.78 * ease(70.0, -50.0, p.z);
    periphery * back * base
}

fn level_of_rank(sorted: &[f32], rank: usize) -> f32 {
    sorted.get(rank).copied().filter(|level| level.is_finite()).unwrap_or(0.0)
}
