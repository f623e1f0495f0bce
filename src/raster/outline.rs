//! Outlines of masks: the closed lines between pixels that are set and those that are not.

use std::collections::BTreeMap;

use super::Mask;

/// A closed line through pixel corners, `[x, y]` in plane pixels: x to the patient's left, y to the back.
pub type Outline = Vec<[u16; 2]>;

type Corner = (u16, u16);

/// All outlines of a mask, holes included; each begins at its uppermost, leftmost corner.
#[must_use]
pub fn outlines(mask: &Mask) -> Vec<Outline> {
    let mut edges = boundary_edges(mask);
    let mut outlines = Vec::new();
    while let Some(start) = edges.keys().next().copied() {
        outlines.push(follow(&mut edges, start));
    }
    outlines
}

/// Every pixel side between set and unset, walked with the set pixel on the right; by the corner it starts from.
fn boundary_edges(mask: &Mask) -> BTreeMap<Corner, Vec<Corner>> {
    let (rows, columns) = (mask.rows(), mask.columns());
    let mut edges: BTreeMap<Corner, Vec<Corner>> = BTreeMap::new();
    for at in mask.pixels() {
        let (row, column) = (at / columns, at % columns);
        let (top, left) = (row as u16, column as u16);
        let (bottom, right) = (top + 1, left + 1);
        let mut side = |outside: bool, from: Corner, to: Corner| {
            if outside {
                edges.entry(from).or_default().push(to);
            }
        };
        side(row == 0 || !mask.contains(at - columns), (top, left), (top, right));
        side(column + 1 == columns || !mask.contains(at + 1), (top, right), (bottom, right));
        side(row + 1 == rows || !mask.contains(at + columns), (bottom, right), (bottom, left));
        side(column == 0 || !mask.contains(at - 1), (bottom, left), (top, left));
    }
    edges
}

/// Follows the edges from `start` until they close, and takes them away. Corners in the middle of a straight line are left out.
fn follow(edges: &mut BTreeMap<Corner, Vec<Corner>>, start: Corner) -> Outline {
    let mut corners = vec![start];
    let mut at = start;
    while let Some(next) = take_edge(edges, at) {
        if let [.., before, last] = corners[..]
            && is_straight(before, last, next)
        {
            corners.pop();
        }
        if next == start {
            break;
        }
        corners.push(next);
        at = next;
    }
    corners.into_iter().map(|(y, x)| [x, y]).collect()
}

fn take_edge(edges: &mut BTreeMap<Corner, Vec<Corner>>, from: Corner) -> Option<Corner> {
    let targets = edges.get_mut(&from)?;
    let next = targets.pop();
    if targets.is_empty() {
        edges.remove(&from);
    }
    next
}

fn is_straight(a: Corner, b: Corner, c: Corner) -> bool {
    (a.0 == b.0 && b.0 == c.0) || (a.1 == b.1 && b.1 == c.1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Area that outlines enclose, holes taken off (shoelace formula).
    fn area(outlines: &[Outline]) -> i64 {
        let twice = |outline: &Outline| -> i64 {
            let next = outline.iter().cycle().skip(1);
            outline
                .iter()
                .zip(next)
                .map(|(a, b)| i64::from(a[0]) * i64::from(b[1]) - i64::from(b[0]) * i64::from(a[1]))
                .sum()
        };
        outlines.iter().map(twice).sum::<i64>() / 2
    }

    #[test]
    fn a_square_has_four_corners() {
        let mask = Mask::from_fn(6, 6, |at| (2..4).contains(&(at / 6)) && (1..4).contains(&(at % 6)));
        assert_eq!(outlines(&mask), [vec![[1, 2], [4, 2], [4, 4], [1, 4]]]);
    }

    proptest! {
        #[test]
        fn outlines_enclose_just_the_pixels_that_are_set(pixels in prop::collection::btree_set(0..90_usize, 0..70)) {
            let mask = Mask::from_fn(9, 10, |at| pixels.contains(&at));
            prop_assert_eq!(area(&outlines(&mask)), pixels.len() as i64);
        }
    }
}
