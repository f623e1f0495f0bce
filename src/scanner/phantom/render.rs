//! Paints one slice: trunk, organs, bones, airways, vessels, disease, then the scanner's noise.

use super::bones::{Bone, rib, shoulder, sternum, vertebra};
use super::field::{Noise, Point, ease, mix, point};
use super::lesions::Lesions;
use super::lung::{Breath, Depth, Surroundings, Trees, tissue};
use super::organs::{AIRWAYS, SPLEEN, STOMACH, Tube, liver};
use super::scanner_room::table;
use super::thorax::{Outline, Side, fat_thickness};

/// CT number of air, HU.
pub(super) const AIR: f32 = -1000.0;
const FAT: f32 = -102.0;
const MUSCLE: f32 = 54.0;
const BLOOD: f32 = 42.0;

/// CT number of pixels outside the reconstructed circle, HU; its stored value is the `PixelPaddingValue`.
pub(super) const PADDING: i16 = -1024;

/// The pixels of a slice; the centre of the image is the origin of x and y.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub rows: usize,
    pub columns: usize,
    pub pixel_mm: f32,
}

impl Grid {
    pub(super) fn x(&self, column: usize) -> f32 {
        (column as f32 - 0.5 * (self.columns as f32 - 1.0)) * self.pixel_mm
    }

    pub(super) fn y(&self, row: usize) -> f32 {
        (row as f32 - 0.5 * (self.rows as f32 - 1.0)) * self.pixel_mm
    }

    /// Share of a pixel that something reaching `depth` mm beyond its centre covers, 0..1.
    fn coverage(&self, depth: f32) -> f32 {
        (0.5 + depth / self.pixel_mm.max(0.9)).clamp(0.0, 1.0)
    }

    /// Radius of the reconstructed circle, mm.
    fn field_radius(&self) -> f32 {
        0.5 * self.pixel_mm * self.columns.min(self.rows) as f32
    }
}

/// Everything that is the same for all slices of an exam.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub trees: Trees,
    pub lesions: Option<Lesions>,
    pub noise: Noise,
    pub breath: Breath,
}

/// A painted slice before it is rounded to stored values.
#[derive(Debug, Clone)]
pub(super) struct Painting {
    pub hounsfield: Vec<f32>,
    pub lung: Vec<bool>,
    pub lesion: Vec<bool>,
}

impl Scene {
    pub(super) fn paint(&self, grid: Grid, z: f32) -> Painting {
        let count = grid.rows * grid.columns;
        let mut painter = Painter {
            scene: self,
            grid,
            z,
            surroundings: Surroundings::at(z, self.breath),
            lesions: self.lesions.as_ref().map(|lesions| lesions.near(z)),
            surface: vec![-99.0; count],
            hounsfield: vec![AIR; count],
            lesion: vec![false; count],
        };
        painter.trunk();
        painter.organs();
        painter.airways();
        painter.vessels();
        let lung = painter.surface.iter().map(|depth| *depth > 0.0).collect();
        Painting { hounsfield: painter.hounsfield, lung, lesion: painter.lesion }
    }
}

struct Painter<'a> {
    scene: &'a Scene,
    grid: Grid,
    z: f32,
    surroundings: Surroundings,
    lesions: Option<Lesions>,
    /// Depth below the lung's surface for each pixel, mm; negative outside.
    surface: Vec<f32>,
    hounsfield: Vec<f32>,
    lesion: Vec<bool>,
}

impl Painter<'_> {
    fn trunk(&mut self) {
        let front = self.front_of_the_cavity();
        let field = self.grid.field_radius();
        for row in 0..self.grid.rows {
            for column in 0..self.grid.columns {
                let p = point(self.grid.x(column), self.grid.y(row), self.z);
                if p.x * p.x + p.y * p.y > field * field {
                    continue;
                }
                let index = row * self.grid.columns + column;
                let skin = self.surroundings.outline.skin(p);
                self.hounsfield[index] = if skin > 1.5 {
                    table(p)
                } else {
                    let inside = self.inside(p, index, skin, front);
                    mix(AIR, inside, self.grid.coverage(-skin))
                };
            }
        }
    }

    /// The y at which the sternum lies on the cavity, mm.
    fn front_of_the_cavity(&self) -> f32 {
        let outline = Outline::at(self.z.min(60.0));
        let wall = |y: f32| outline.chest_wall(Side::Right, point(-12.0, y, outline.z()));
        let mut y = -40.0;
        while y > -110.0 && wall(y) < 0.0 {
            y -= 1.0;
        }
        y
    }

    fn inside(&mut self, p: Point, index: usize, skin: f32, front: f32) -> f32 {
        let side = Side::of(p.x);
        let wall = self.surroundings.outline.chest_wall(side, p);
        let mut aerated = 0.0;
        let mut parenchyma = 0.0;
        if wall < 3.0 {
            let depth = self.surroundings.depth_below(p, -wall);
            self.surface[index] = depth.surface;
            aerated = self.grid.coverage(depth.surface);
            if aerated > 0.0 {
                parenchyma = self.parenchyma(p, index, depth);
            }
            // Nothing else is in the middle of the lung; tubes come later.
            if depth.surface > 9.0 {
                return parenchyma;
            }
        }
        let soft = if aerated >= 1.0 {
            0.0
        } else if wall > 0.0 {
            self.wall(p, skin, wall)
        } else {
            self.cavity(p, side)
        };
        let mut hounsfield = mix(soft, parenchyma, aerated);
        let bones = [rib(p, wall), vertebra(p), sternum(p, front), shoulder(p).filter(|_| wall > 4.0 && skin < -3.0)];
        for bone in bones.into_iter().flatten() {
            hounsfield = self.with_bone(p, hounsfield, bone);
        }
        hounsfield
    }

    fn with_bone(&self, p: Point, below: f32, bone: Bone) -> f32 {
        let covered = self.grid.coverage(bone.depth);
        if covered <= 0.0 {
            return below;
        }
        mix(below, bone.hounsfield(p, self.scene.noise), covered)
    }

    /// Skin, fat and muscle outside the ribs and between them.
    fn wall(&self, p: Point, skin: f32, wall: f32) -> f32 {
        let noise = self.scene.noise;
        if skin > -1.6 {
            return 15.0;
        }
        let fat = fat_thickness(p) + 2.5 * noise.at(p, 38.0);
        let below_fat = -skin - fat;
        let muscular = self.grid.coverage(below_fat);
        let fatty = || {
            let strands = 26.0 * ease(0.12, 0.02, noise.at(point(p.x, p.y, p.z * 0.5), 9.0).abs());
            FAT + strands + 6.0 * noise.at(p, 5.0)
        };
        if muscular <= 0.0 {
            return fatty();
        }
        let muscle = MUSCLE + 7.0 * noise.at(p, 6.0) - self.marbling(p);
        let mut hounsfield = if muscular < 1.0 { mix(fatty(), muscle, muscular) } else { muscle };
        // Fat between the outer muscles and those of the ribs, and in the armpits.
        let above_ribs = wall - 12.0;
        if below_fat > 5.0 && above_ribs > 3.0 && p.x.abs() > 30.0 {
            let plane = (above_ribs - 0.42 * (above_ribs + below_fat)).abs();
            let thick = 1.2 + 1.6 * noise.at(p, 22.0);
            let between = self.grid.coverage(thick - plane);
            if between > 0.0 {
                hounsfield = mix(hounsfield, fatty(), between);
            }
        }
        let armpit = armpit(p);
        if armpit > -5.0 && wall > 11.0 && below_fat > 3.0 {
            let armpit = armpit + 4.0 * noise.at(p, 14.0);
            let node = 60.0 * ease(0.55, 0.75, noise.at(p, 9.0));
            let filling = fatty() + 2.3 * node;
            hounsfield = mix(hounsfield, filling, self.grid.coverage(armpit));
        }
        hounsfield
    }

    /// Streaks of fat in muscle.
    fn marbling(&self, p: Point) -> f32 {
        70.0 * ease(0.55, 0.85, self.scene.noise.at(point(p.x, p.y, 0.4 * p.z), 7.5))
    }

    /// Below the ribs what is not lung: the mediastinum's fat, or the abdomen.
    fn cavity(&self, p: Point, side: Side) -> f32 {
        let noise = self.scene.noise;
        let fat = FAT + 10.0 * noise.at(p, 6.0) + 22.0 * ease(0.1, 0.02, noise.at(p, 11.0).abs());
        let below = -self.surroundings.above_diaphragm(side, p);
        // Between the heads of the ribs, beside the spine.
        if p.y > 62.0 && below < 0.0 {
            return MUSCLE + 6.0 * noise.at(p, 6.0);
        }
        // The domes end at the middle; under the heart lies the central tendon.
        let below = if p.x.abs() < 24.0 { below.max(-64.0 + self.scene.breath.raised_mm - p.z) } else { below };
        if below < -1.0 {
            return fat;
        }
        let mut hounsfield = mix(fat, MUSCLE - 6.0, self.grid.coverage(below));
        if below > 1.0 {
            hounsfield = mix(hounsfield, fat, self.grid.coverage(below - 2.2));
            // The liver and the stomach stay where they are when the diaphragm rises: fat fills what is between.
            let liver_depth = (-liver(p)).min(below - 2.0 - 0.7 * self.scene.breath.raised_mm);
            let liver_tissue = 60.0 + 5.0 * noise.at(p, 8.0) - 22.0 * ease(0.06, 0.0, noise.at(p, 17.0).abs());
            hounsfield = mix(hounsfield, liver_tissue, self.grid.coverage(liver_depth));
            if side == Side::Left {
                hounsfield = self.left_abdomen(p, below, hounsfield);
            }
        }
        hounsfield
    }

    fn left_abdomen(&self, p: Point, below: f32, under: f32) -> f32 {
        const FLUID_LEVEL: f32 = -16.0;
        let noise = self.scene.noise;
        let spleen = (-SPLEEN.distance(p)).min(below - 2.4);
        let hounsfield = mix(under, 50.0 + 4.0 * noise.at(p, 7.0), self.grid.coverage(spleen));
        let stomach = (-STOMACH.distance(p)).min(below - 2.6);
        let hounsfield = mix(hounsfield, 42.0, self.grid.coverage(stomach));
        let food = 22.0 + 14.0 * noise.at(p, 5.0);
        let contents = mix(AIR, food, self.grid.coverage(p.y - FLUID_LEVEL));
        mix(hounsfield, contents, self.grid.coverage(stomach - 4.0))
    }

    fn parenchyma(&mut self, p: Point, index: usize, depth: Depth) -> f32 {
        let healthy = tissue(p, self.scene.noise) + self.scene.breath.denser_at(p);
        let Some(change) = self.lesions.as_ref().and_then(|l| l.at(p, depth)) else {
            return healthy;
        };
        self.lesion[index] = change.lesion && depth.surface > 0.0;
        mix(healthy, change.hounsfield, change.share)
    }

    fn organs(&mut self) {
        let grid = self.grid;
        let organs = self.surroundings.organs.clone();
        for row in 0..grid.rows {
            let y = grid.y(row);
            for column in 0..grid.columns {
                let p = point(grid.x(column), y, self.z);
                let index = row * grid.columns + column;
                // Deeper in the lung there is no organ.
                if p.x.abs() > 92.0 || y.abs() > 76.0 || self.surface[index] > 2.5 {
                    continue;
                }
                let depth =
                    organs.iter().filter_map(|nearby| Some(-nearby.distance(p)?)).fold(f32::NEG_INFINITY, f32::max);
                let mut covered = grid.coverage(depth);
                if covered <= 0.0 {
                    continue;
                }
                // Below the domes the heart has ended and the great vessels go on.
                let side = Side::of(p.x);
                if self.surroundings.outline.chest_wall(side, p) > -2.0 {
                    covered = 0.0;
                }
                let pixel = &mut self.hounsfield[index];
                let blood = BLOOD + 4.0 * self.scene.noise.at(p, 7.0);
                *pixel = mix(*pixel, blood, covered);
            }
        }
    }

    fn airways(&mut self) {
        let bronchi = self.scene.trees.bronchi.iter();
        let branches: Vec<Tube> = bronchi.filter(|tube| tube.widest() > 0.9).copied().collect();
        for (tubes, main) in [(AIRWAYS.as_slice(), true), (branches.as_slice(), false)] {
            for layer in [Layer::Wall, Layer::Lumen] {
                for tube in tubes {
                    self.airway(tube, main, layer);
                }
            }
        }
    }

    fn airway(&mut self, tube: &Tube, main: bool, layer: Layer) {
        let thickness = 0.35 + 0.16 * tube.widest();
        let grid = self.grid;
        let faint = if main { 1.0 } else { (tube.widest() / 2.0).clamp(0.25, 1.0) };
        self.each_pixel_near(tube, thickness + 1.0, |painter, index, distance| {
            if !main && painter.surface[index] < 0.0 {
                return;
            }
            let pixel = &mut painter.hounsfield[index];
            *pixel = match layer {
                Layer::Wall => mix(*pixel, 20.0, faint * grid.coverage(thickness - distance)),
                Layer::Lumen => mix(*pixel, AIR + 12.0, faint * grid.coverage(-distance)),
            };
        });
    }

    fn vessels(&mut self) {
        let grid = self.grid;
        for tube in &self.scene.trees.vessels {
            // A vessel thinner than the slice fills only part of it.
            let filled = (tube.widest() / 0.75).min(1.0);
            self.each_pixel_near(tube, 1.0, |painter, index, distance| {
                if painter.surface[index] > -1.0 {
                    let pixel = &mut painter.hounsfield[index];
                    let target = pixel.max(BLOOD);
                    *pixel = mix(*pixel, target, filled * grid.coverage(-distance));
                }
            });
        }
    }

    /// Calls `paint` with index and signed distance for the pixels within `margin` mm of the tube.
    fn each_pixel_near(&mut self, tube: &Tube, margin: f32, paint: impl Fn(&mut Self, usize, f32)) {
        let (low, high) = tube.bounds();
        if self.z < low.z - margin || self.z > high.z + margin {
            return;
        }
        let Grid { rows, columns, pixel_mm } = self.grid;
        let span = |from: f32, to: f32, count: usize| {
            let middle = 0.5 * (count as f32 - 1.0);
            let first = ((from - margin) / pixel_mm + middle).floor().max(0.0) as usize;
            let last = ((to + margin) / pixel_mm + middle).ceil().max(0.0) as usize;
            first..(last + 1).min(count)
        };
        for row in span(low.y, high.y, rows) {
            for column in span(low.x, high.x, columns) {
                let p = point(self.grid.x(column), self.grid.y(row), self.z);
                let distance = tube.distance(p);
                if distance < margin {
                    paint(self, row * columns + column, distance);
                }
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Layer {
    Wall,
    Lumen,
}

/// Depth in the fat of the armpit, mm.
fn armpit(p: Point) -> f32 {
    let (x, y, z) = ((p.x.abs() - 122.0) / 24.0, (p.y + 8.0) / 26.0, (p.z - 92.0) / 42.0);
    (1.0 - (x * x + y * y + z * z).sqrt()) * 24.0
}
