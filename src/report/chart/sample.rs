//! Long series with fewer points that look the same.

/// Points of a line, at most.
pub(super) const MOST_POINTS: usize = 600;

/// As many points as a line may have: of each stretch its least and its largest, in their order, so that no extreme is lost; the
/// first and the last point stay. Points whose value is no number are left out.
pub(super) fn thinned(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    let points: Vec<_> = points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    let [first, inner @ .., last] = points.as_slice() else { return points };
    if points.len() <= most {
        return points;
    }
    let stretches = (most.max(4) - 2) / 2;
    let mut kept = vec![*first];
    for stretch in inner.chunks(inner.len().div_ceil(stretches)) {
        let by_value = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let (Some(least), Some(most)) = (stretch.iter().min_by(by_value), stretch.iter().max_by(by_value)) else {
            continue;
        };
        let both = if least.0 <= most.0 { [*least, *most] } else { [*most, *least] };
        kept.extend(if least.0.total_cmp(&most.0).is_eq() { &both[..1] } else { &both[..] });
    }
    kept.push(*last);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_survive_and_order_stays() {
        let mut points: Vec<_> = (0..100_000).map(|x| (f64::from(x), (f64::from(x) / 50.0).sin())).collect();
        points[54_321].1 = 99.0;
        points[12_345].1 = -99.0;
        points[777].1 = f64::NAN;
        let kept = thinned(&points, MOST_POINTS);
        assert!(kept.len() <= MOST_POINTS && kept.len() > MOST_POINTS / 3, "{}", kept.len());
        assert!(kept.contains(&(54_321.0, 99.0)) && kept.contains(&(12_345.0, -99.0)));
        assert!(kept.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!((kept[0], kept[kept.len() - 1]), (points[0], points[99_999]));
    }

    #[test]
    fn a_short_series_stays_as_it_is() {
        let points = [(0.0, 1.0), (1.0, 5.0), (2.0, 3.0)];
        assert_eq!(thinned(&points, 3), points);
        assert_eq!(thinned(&[], 3), []);
    }
}
