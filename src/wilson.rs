//! Wilson's score interval of a share.

/// The normal distribution's 97.5 % quantile: what makes an interval one of 95 %.
pub(crate) const Z: f64 = 1.959_963_984_540_054;

/// The 95 % interval of `count / n`, `n` above 0: its lower and its upper end. E. B. Wilson, Probable inference, the law of
/// succession, and statistical inference, JASA 22 (1927) 209-212.
#[must_use]
pub(crate) fn wilson(count: usize, n: usize) -> [f64; 2] {
    let (k, size) = (count as f64, n as f64);
    let p = k / size;
    let centre = (k + Z * Z / 2.0) / (size + Z * Z);
    let half = Z / (size + Z * Z) * (size * p * (1.0 - p) + Z * Z / 4.0).sqrt();
    // At the ends the two terms are equal but for rounding.
    let low = if count == 0 { 0.0 } else { centre - half };
    let high = if count == n { 1.0 } else { centre + half };
    [low, high]
}
