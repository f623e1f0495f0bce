//! The kernels as a C++ program: what it is asked and what it answers. `kernels/on_cpu.cpp` is the other side.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};
use tableside::engine::Inference;
use tableside::parity::kernels::{
    KernelError, KernelEvidence, KernelOutputs, KernelSlice, KernelWindows, Kernels, SumsAndLevels,
};
use tableside::preprocess::{InputGeometry, Padding, SlabSum, SourceAxis, taps};

/// The folder of the kernels.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("kernels")
}

/// How the program is compiled.
#[derive(Clone, Copy, PartialEq)]
pub enum Checks {
    /// Only what the program checks itself.
    Own,
    /// Memory and undefined behaviour too.
    Sanitizers,
}

const FLAGS: [&str; 6] = ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off"];
const SANITIZER_FLAGS: [&str; 3] = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

pub struct Program(PathBuf);

impl Program {
    /// Compiles the program, unless it has been compiled from the same sources. Without a compiler says so.
    pub fn compiled(checks: Checks) -> Option<Self> {
        let compiler = std::env::var("CXX").unwrap_or_else(|_| "g++".to_owned());
        if Command::new(&compiler).arg("--version").output().is_err() {
            eprintln!("SKIPPED: there is no C++ compiler {compiler}");
            return None;
        }
        let mut flags = FLAGS.to_vec();
        if checks == Checks::Sanitizers {
            flags.extend(SANITIZER_FLAGS);
        }
        let mut hash = Sha256::new_with_prefix(format!("{compiler} {flags:?}"));
        for source in sources() {
            hash.update(std::fs::read(source).unwrap());
        }
        let digest = hash.finalize();
        let name = u128::from_be_bytes(std::array::from_fn(|at| digest[at]));
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let program = scratch.join(format!("kernels-{name:032x}"));
        if !program.exists() {
            // Other tests compile at the same time: whoever is ready gives it the name.
            let own = scratch.join(format!("kernels-{}", std::process::id()));
            let output =
                Command::new(&compiler).args(&flags).arg(folder().join("on_cpu.cpp")).arg("-o").arg(&own).output();
            let output = output.unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            std::fs::rename(&own, &program).unwrap();
        }
        Some(Self(program))
    }

    fn ask(&self, request: &Request) -> Result<Answer, KernelError> {
        let mut child =
            Command::new(&self.0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&request.0).unwrap();
        let output = child.wait_with_output().unwrap();
        let failed = || KernelError(String::from_utf8_lossy(&output.stderr).into_owned());
        if output.status.success() { Ok(Answer(output.stdout)) } else { Err(failed()) }
    }
}

/// All files that make the program.
pub fn sources() -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let is_source = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "cu" || kind == "h" || kind == "cpp");
    let mut sources: Vec<PathBuf> = files.filter(is_source).collect();
    sources.sort();
    sources
}

struct Request(Vec<u8>);

impl Request {
    fn to(kernel: u32) -> Self {
        Self(kernel.to_le_bytes().to_vec())
    }

    fn int(&mut self, value: usize) -> &mut Self {
        self.0.extend((value as i32).to_le_bytes());
        self
    }

    fn float(&mut self, value: f32) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn array<const BYTES: usize>(&mut self, values: impl IntoIterator<Item = [u8; BYTES]>) -> &mut Self {
        let bytes = values.into_iter().collect::<Vec<_>>().concat();
        self.0.extend((bytes.len() as u64).to_le_bytes());
        self.0.extend(bytes);
        self
    }

    fn floats(&mut self, values: &[f32]) -> &mut Self {
        self.array(values.iter().map(|value| value.to_le_bytes()))
    }

    /// The taps of one axis, as `kernels/interface.h` lays them out.
    fn taps(&mut self, axis: SourceAxis, source_len: usize, target_len: usize, target_mm: f64) {
        let taps = taps(axis, source_len, target_len, target_mm);
        let most = taps.iter().map(|taps| taps.weights.len()).max().unwrap_or(0);
        let weights =
            (0..most).flat_map(|tap| taps.iter().map(move |taps| taps.weights.get(tap).copied().unwrap_or(0.0)));
        self.array(taps.iter().map(|taps| (taps.first as i32).to_le_bytes()));
        self.array(taps.iter().map(|taps| (taps.weights.len() as i32).to_le_bytes()));
        self.floats(&weights.collect::<Vec<_>>());
    }

    /// Sum and share of each slab of each window, the sums so many values off an aligned address.
    fn slabs(&mut self, windows: &[Vec<&SlabSum>], offset: usize) {
        for slab in windows.iter().flatten() {
            self.int(offset).array(slab.levels().iter().map(|sum| sum.to_le_bytes()));
            self.0.extend(slab.share().to_le_bytes());
        }
    }
}

struct Answer(Vec<u8>);

impl Answer {
    /// The next array.
    fn array<T, const BYTES: usize>(&mut self, value: impl Fn([u8; BYTES]) -> T) -> Vec<T> {
        let rest = self.0.split_off(8);
        let len = u64::from_le_bytes(self.0.as_slice().try_into().unwrap()) as usize;
        let (bytes, rest) = rest.split_at(len);
        let values = bytes.chunks_exact(BYTES).map(|bytes| value(bytes.try_into().unwrap())).collect();
        self.0 = rest.to_vec();
        values
    }

    fn masks(&mut self, windows: usize) -> Vec<Vec<u64>> {
        split(&self.array(u64::from_le_bytes), windows)
    }
}

fn split<T: Clone>(values: &[T], parts: usize) -> Vec<Vec<T>> {
    values.chunks(values.len() / parts).map(<[T]>::to_vec).collect()
}

impl Kernels for Program {
    fn add_slices(
        &self,
        input: &InputGeometry,
        sums: &[Vec<u32>],
        slices: &[KernelSlice],
    ) -> Result<SumsAndLevels, KernelError> {
        let [low, high] = input.hu_window;
        let mut request = Request::to(0);
        request.int(input.rows).int(input.columns).float(low).float(high).float(1.0 / (high - low)).int(sums.len());
        for sum in sums {
            request.array(sum.iter().map(|levels| levels.to_le_bytes()));
        }
        request.int(slices.len());
        for KernelSlice { image, in_plane, sum, offset } in slices {
            let layout = image.layout;
            request.int(*sum).int(image.rows).int(image.columns).int(image.cell_bytes);
            request.int(layout.shift_up as usize).int(layout.shift_down as usize).int(usize::from(layout.signed));
            request.float(image.rescale_slope).float(image.rescale_intercept);
            let padding = image.padding.unwrap_or(Padding::NONE);
            request.float(padding.first).float(padding.last);
            request.int(usize::from(in_plane.x.along_columns));
            let (along_x, along_y) =
                if in_plane.x.along_columns { (image.columns, image.rows) } else { (image.rows, image.columns) };
            request.taps(in_plane.x, along_x, input.columns, input.pixel_mm);
            request.taps(in_plane.y, along_y, input.rows, input.pixel_mm);
            request.int(*offset).array(image.cells.iter().map(|cell| [*cell]));
        }
        let mut answer = self.ask(&request)?;
        let sums = sums.iter().map(|_| answer.array(u32::from_le_bytes)).collect();
        Ok((sums, slices.iter().map(|_| answer.array(u16::from_le_bytes)).collect()))
    }

    fn windows_f32(
        &self,
        input: &InputGeometry,
        windows: &[Vec<&SlabSum>],
        offset: usize,
    ) -> Result<KernelWindows<f32>, KernelError> {
        self.windows(1, f32::from_le_bytes, input, windows, offset)
    }

    fn windows_f16(
        &self,
        input: &InputGeometry,
        windows: &[Vec<&SlabSum>],
        offset: usize,
    ) -> Result<KernelWindows<u16>, KernelError> {
        self.windows(2, u16::from_le_bytes, input, windows, offset)
    }

    fn evidence(
        &self,
        input: &InputGeometry,
        [lung_probability, lesion_probability]: [f32; 2],
        windows: &[KernelOutputs<'_>],
        offset: usize,
    ) -> Result<Vec<KernelEvidence>, KernelError> {
        let mut request = Request::to(3);
        request
            .int(windows.len())
            .int(input.slabs)
            .int(input.plane_len())
            .float(input.hu_window[0])
            .float(input.hu_window[1]);
        request.float(lung_probability).float(lesion_probability);
        request.slabs(&windows.iter().map(|window| window.slabs.clone()).collect::<Vec<_>>(), offset);
        let all = |values: fn(&Inference) -> Vec<f32>| {
            windows.iter().flat_map(|window| values(window.inference)).collect::<Vec<_>>()
        };
        request.int(offset).floats(&all(|said| said.lung.clone())).floats(&all(|said| said.lesion.clone()));
        request.floats(&all(|said| vec![said.attention])).floats(&all(|said| vec![said.logit]));
        request.array(windows.iter().flat_map(|window| &window.body).map(|word| word.to_le_bytes()));
        let mut answer = self.ask(&request)?;
        let (lung, lesion) = (answer.masks(windows.len()), answer.masks(windows.len()));
        let lesion_hu = split(&answer.array(f32::from_le_bytes), windows.len());
        let statistics = split(&answer.array(u32::from_le_bytes), windows.len());
        let windows = lung.into_iter().zip(lesion).zip(lesion_hu).zip(statistics);
        let window = |(((lung, lesion), lesion_hu), statistics): (((_, _), Vec<f32>), Vec<u32>)| KernelEvidence {
            lung,
            lesion,
            lesion_hu: lesion_hu[..statistics[5] as usize].to_vec(),
            not_finite: std::array::from_fn(|output| statistics[output]),
            lung_pixels: statistics[4],
            attention: f32::from_bits(statistics[6]),
            logit: f32::from_bits(statistics[7]),
        };
        Ok(windows.map(window).collect())
    }
}

impl Program {
    /// The window kernel for 32-bit (`kernel` 1) or 16-bit (2) values.
    fn windows<Value: Clone, const BYTES: usize>(
        &self,
        kernel: u32,
        value: impl Fn([u8; BYTES]) -> Value,
        input: &InputGeometry,
        slabs: &[Vec<&SlabSum>],
        offset: usize,
    ) -> Result<KernelWindows<Value>, KernelError> {
        let mut request = Request::to(kernel);
        request
            .int(slabs.len())
            .int(input.slabs)
            .int(input.plane_len())
            .float(input.hu_window[0])
            .float(input.hu_window[1]);
        request.float(tableside::triage::TISSUE_HU).float(tableside::triage::BONE_HU);
        request.slabs(slabs, offset);
        let mut answer = self.ask(&request)?;
        Ok(KernelWindows {
            input: split(&answer.array(value), slabs.len()),
            tissue: answer.masks(slabs.len()),
            bone: answer.masks(slabs.len()),
            change: answer.masks(slabs.len()).iter().map(|blocks| blocks.iter().sum()).collect(),
        })
    }
}
