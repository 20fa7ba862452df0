//! What a page's script reads: where the plots of a chart are, what their axes mean, and the points that can be pointed at.

use serde_json::{Value, json};

use crate::report::chart::{Axis, Chart, Embedded, Panel, Scale, Tracks};

/// A chart for the script. Lines that several views share are told once.
pub(super) fn chart(chart: &Chart, id: &str, embedded: &Embedded) -> Value {
    let mut shared: Vec<&Tracks> = Vec::new();
    let mut views = Vec::new();
    for (view, boxes) in chart.views.iter().zip(&embedded.boxes) {
        let mut panels = Vec::new();
        for (panel, plot) in view.panels.iter().zip(boxes) {
            let place = shared.iter().position(|tracks| **tracks == panel.tracks).unwrap_or_else(|| {
                shared.push(&panel.tracks);
                shared.len() - 1
            });
            let (x, y) = (axis(&panel.x), axis(&panel.y));
            panels.push(json!({ "box": plot, "x": x, "y": y, "tracks": place, "cells": cells(panel) }));
        }
        views.push(json!({ "panels": panels }));
    }
    let tracks: Vec<Value> = shared.iter().map(|tracks| Value::Array(tracks.iter().map(track).collect())).collect();
    json!({ "id": id, "series": chart.series, "views": views, "tracks": tracks })
}

fn axis(axis: &Axis) -> Value {
    let scale = match &axis.scale {
        Scale::Linear | Scale::Names(_) => "linear",
        Scale::Log => "log",
        Scale::Tail => "tail",
    };
    let mut value = json!({ "scale": scale, "unit": axis.quantity.code(), "from": axis.from, "to": axis.to });
    if let Scale::Names(names) = &axis.scale {
        value["names"] = json!(names);
    }
    value
}

fn track((series, points): &(usize, Vec<(f64, f64)>)) -> Value {
    let numbers: Vec<Value> = points.iter().flat_map(|(x, y)| [number(*x), number(*y)]).collect();
    json!([series, numbers])
}

fn cells(panel: &Panel) -> Vec<Value> {
    let cell = |(from, to, heat): &(f64, f64, Vec<(u8, u32)>)| json!([number(*from), number(*to), heat]);
    panel.cells.iter().map(cell).collect()
}

/// A number in six digits, more than anybody can point at.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e6 {
        return json!(value as i64);
    }
    let short: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    if short.fract() == 0.0 && short.abs() < 1e15 { json!(short as i64) } else { json!(short) }
}

/// JSON that a script element can hold: nothing in it ends the element.
pub(super) fn embedded(charts: &[Value]) -> String {
    json!({ "charts": charts }).to_string().replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_the_data_ends_the_element() {
        let text = embedded(&[json!({ "series": ["</script><!--"] })]);
        assert!(!text.contains('<'), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["charts"][0]["series"][0], "</script><!--");
    }

    #[test]
    fn numbers_are_short() {
        let text = |value: f64| number(value).to_string();
        assert_eq!([text(123_456_789.0), text(0.1), text(5.0), text(1.0 / 3.0)], ["123457000", "0.1", "5", "0.333333"]);
    }
}
