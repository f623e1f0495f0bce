//! What a convolution kernel's name means.

/// How a kernel shows edges and noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kernel {
    /// For soft tissue, or of an unknown name.
    Smooth,
    /// For lung and edges: noise and overshoot change densities.
    Sharp,
    /// For bone: sharper than those made for lungs.
    Bone,
}

impl Kernel {
    /// Recognises a value of Convolution Kernel (0018,1210), as makers name them: GE by words; Siemens by a letter or two
    /// and a number from 10 (smooth) to 90 (sharp); Canon FC01 to FC18 for the body, from FC30 on for bone and lung; Philips by
    /// letters.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let name = name.trim().to_ascii_uppercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if has(&["BONE", "EDGE"]) {
            return Self::Bone;
        }
        if has(&["LUNG", "ULTRA", "SHARP"]) {
            return Self::Sharp;
        }
        let letters = name.len() - name.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (family, rest) = name.split_at(letters);
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        match (family, digits.parse::<u32>()) {
            ("FC", Ok(30..=39 | 80..=89)) => Self::Bone,
            ("FC", Ok(30..)) => Self::Sharp,
            ("FC", Ok(_)) => Self::Smooth,
            (_, Ok(70..=99)) if (1..=2).contains(&letters) => Self::Bone,
            (_, Ok(50..=69)) if (1..=2).contains(&letters) => Self::Sharp,
            ("D" | "E" | "YD", Err(_)) if rest.is_empty() => Self::Bone,
            ("L" | "YA" | "YB" | "YC", Err(_)) if rest.is_empty() => Self::Sharp,
            _ => Self::Smooth,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_told_apart_by_their_makers_names() {
        for bone in ["BONE", "BONEPLUS", "EDGE", "B70f", "Br76", "H80s", "Qr89", "YD", "D", "FC30", "FC81"] {
            assert_eq!(Kernel::of(bone), Kernel::Bone, "{bone}");
        }
        for sharp in ["LUNG", "B60f", "Br59d", "Bl57f", "FC51", "YB", "YA", "L"] {
            assert_eq!(Kernel::of(sharp), Kernel::Sharp, "{sharp}");
        }
        for smooth in [
            "",
            "STANDARD",
            "SOFT",
            "B30f",
            "Br40d",
            "I31f",
            "D40s",
            "FC08",
            "B",
            "C",
            "???",
            "5",
            "7",
            "ABC99",
            "\u{130}70",
        ] {
            assert_eq!(Kernel::of(smooth), Kernel::Smooth, "{smooth}");
        }
    }
}
