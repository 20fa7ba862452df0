//! What plotters draws on: an SVG of our own, in which every stroke and fill has a class beside its colour.
//!
//! A page recolours by class; the colours in the attributes are for pictures that stand alone and for pages whose style sheet is
//! blocked. Colours come from plotters as numbers of [`Ink`]s. Consecutive strokes and fills of one look become one path. Text is
//! escaped here and nowhere else.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt::Write;
use std::rc::Rc;

use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind, FontStyle,
    FontTransform,
};

use super::ink::{Ink, Theme};
use crate::result::printable;

/// How something looks.
#[derive(Debug, Clone, PartialEq)]
struct Look {
    ink: Ink,
    /// Width of a stroke; none of a fill.
    stroke: Option<u32>,
    /// Percent.
    opacity: u32,
    dashes: &'static str,
}

/// An SVG in the making.
pub(super) struct Canvas {
    size: (u32, u32),
    theme: Theme,
    body: String,
    /// The path that is being collected, with its look.
    path: Option<(Look, String)>,
    dashes: &'static str,
}

/// The canvas as plotters knows it, and as the one who draws steers it.
#[derive(Clone)]
pub(super) struct Surface(Rc<RefCell<Canvas>>);

impl Surface {
    pub fn new(size: (u32, u32), theme: Theme) -> Self {
        let (body, path) = (String::new(), None);
        Self(Rc::new(RefCell::new(Canvas { size, theme, body, path, dashes: "" })))
    }

    /// Strokes from here on have these dashes.
    pub fn dash(&self, dashes: &'static str) {
        self.0.borrow_mut().dashes = dashes;
    }

    /// Begins a group of a class, which can be hidden as a whole.
    pub fn begin(&self, class: &str) {
        let mut canvas = self.0.borrow_mut();
        canvas.finish_path();
        let _ = write!(canvas.body, "<g class=\"{class}\">");
    }

    /// Ends the group.
    pub fn end(&self) {
        let mut canvas = self.0.borrow_mut();
        canvas.finish_path();
        canvas.body.push_str("</g>");
    }

    /// What has been drawn.
    pub fn finish(self) -> String {
        let mut canvas = self.0.borrow_mut();
        canvas.finish_path();
        std::mem::take(&mut canvas.body)
    }
}

/// Text of an SVG element or attribute.
pub(super) fn escaped(text: &str) -> String {
    printable(text).chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
        out
    })
}

/// The width of a text, px: letters of common fonts are a little over half as wide as high.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    let of = |c: char| match c {
        'i' | 'l' | 'j' | 'I' | '.' | ',' | ':' | ';' | '|' | '\'' => 0.3,
        ' ' | 'f' | 't' | 'r' | '-' | '(' | ')' | '/' | '[' | ']' => 0.38,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.93,
        'A'..='Z' => 0.73,
        c if c.is_ascii() => 0.63,
        c if (c as u32) < 0x1100 => 0.65,
        _ => 1.0,
    };
    text.chars().map(of).sum::<f64>() * size
}

impl Canvas {
    fn finish_path(&mut self) {
        let Some((look, d)) = self.path.take() else { return };
        let (code, colour) = (look.ink.code(), look.ink.colour(self.theme));
        let _ = match look.stroke {
            Some(_) => write!(self.body, "<path class=\"t{code}\" fill=\"none\" stroke=\"{colour}\""),
            None => write!(self.body, "<path class=\"f{code}\" fill=\"{colour}\""),
        }
        .and_then(|()| match look.stroke {
            Some(width) if width != 1 => write!(self.body, " stroke-width=\"{width}\" stroke-linejoin=\"round\""),
            _ => Ok(()),
        })
        .and_then(|()| match look.opacity {
            100 => Ok(()),
            percent => write!(self.body, " opacity=\".{percent:02}\""),
        })
        .and_then(|()| match look.dashes {
            "" => Ok(()),
            dashes => write!(self.body, " stroke-dasharray=\"{dashes}\""),
        });
        let _ = write!(self.body, " d=\"{d}\"/>");
    }

    /// The path of a look, for more of it.
    fn path_of(&mut self, look: Look) -> &mut String {
        if self.path.as_ref().is_some_and(|(open, _)| *open != look) {
            self.finish_path();
        }
        &mut self.path.get_or_insert_with(|| (look, String::new())).1
    }

    fn look(&self, color: BackendColor, stroke: Option<u32>) -> Option<Look> {
        let opacity = (100.0 * color.alpha).round().clamp(0.0, 100.0) as u32;
        let dashes = if stroke.is_some() { self.dashes } else { "" };
        (opacity > 0).then(|| Look { ink: Ink::of_code(color.rgb.0), stroke, opacity, dashes })
    }

    /// Adds a line through points, closed where it is the outline of a fill.
    fn add(&mut self, look: Look, points: impl IntoIterator<Item = BackendCoord>, is_closed: bool) {
        let mut points = points.into_iter();
        let Some(first) = points.next() else { return };
        let mut last = first;
        let mut d = format!("M{} {}", first.0, first.1);
        let mut is_relative = false;
        for point in points {
            let (dx, dy) = (point.0 - last.0, point.1 - last.1);
            last = point;
            let _ = match (dx, dy) {
                (0, 0) => continue,
                (dx, 0) => write!(d, "h{dx}"),
                (0, dy) => write!(d, "v{dy}"),
                (dx, dy) => {
                    // A sign parts numbers too, and a letter that is repeated may be left out.
                    let before = if !is_relative {
                        "l"
                    } else if dx < 0 {
                        ""
                    } else {
                        " "
                    };
                    write!(d, "{before}{dx}{}{dy}", if dy < 0 { "" } else { " " })
                }
            };
            is_relative = dx != 0 && dy != 0;
        }
        if is_closed {
            d.push('z');
        }
        self.path_of(look).push_str(&d);
    }
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl DrawingBackend for Surface {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.0.borrow().size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Drawn {
        let mut canvas = self.0.borrow_mut();
        if let Some(look) = canvas.look(color, None) {
            canvas.add(look, [(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)], true);
        }
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_rect<S: BackendStyle>(&mut self, a: BackendCoord, b: BackendCoord, style: &S, fill: bool) -> Drawn {
        let mut canvas = self.0.borrow_mut();
        let stroke = (!fill).then(|| style.stroke_width());
        if let Some(look) = canvas.look(style.color(), stroke) {
            canvas.add(look, [a, (b.0, a.1), b, (a.0, b.1)], true);
        }
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        let mut canvas = self.0.borrow_mut();
        if let Some(look) = canvas.look(style.color(), Some(style.stroke_width())) {
            canvas.add(look, path, false);
        }
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(&mut self, (x, y): BackendCoord, radius: u32, style: &S, fill: bool) -> Drawn {
        let mut canvas = self.0.borrow_mut();
        let stroke = (!fill).then(|| style.stroke_width());
        let Some(look) = canvas.look(style.color(), stroke) else { return Ok(()) };
        // Clockwise, as everything here: of fills that overlap in one path none is a hole in the other.
        let path = canvas.path_of(look);
        let _ = write!(
            path,
            "M{} {y}a{radius} {radius} 0 1 1 {} 0 {radius} {radius} 0 1 1 -{} 0z",
            x - radius as i32,
            2 * radius,
            2 * radius
        );
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, outline: I, style: &S) -> Drawn {
        let mut canvas = self.0.borrow_mut();
        if let Some(look) = canvas.look(style.color(), None) {
            canvas.add(look, outline, true);
        }
        Ok(())
    }

    fn draw_text<T: BackendTextStyle>(&mut self, text: &str, style: &T, (x, y): BackendCoord) -> Drawn {
        let mut canvas = self.0.borrow_mut();
        let Some(look) = canvas.look(style.color(), None) else { return Ok(()) };
        canvas.finish_path();
        let size = style.size();
        let anchor = match style.anchor().h_pos {
            HPos::Left => "",
            HPos::Center => " text-anchor=\"middle\"",
            HPos::Right => " text-anchor=\"end\"",
        };
        // From where plotters means the text to be to the line that it stands on.
        let down = match style.anchor().v_pos {
            VPos::Top => 0.8,
            VPos::Center => 0.35,
            VPos::Bottom => -0.2,
        };
        let y = f64::from(y) + (down * size).round();
        let turn = match style.transform() {
            FontTransform::None => String::new(),
            FontTransform::Rotate90 => format!(" transform=\"rotate(90 {x} {y})\""),
            FontTransform::Rotate180 => format!(" transform=\"rotate(180 {x} {y})\""),
            FontTransform::Rotate270 => format!(" transform=\"rotate(270 {x} {y})\""),
        };
        let weight = if matches!(style.style(), FontStyle::Bold) { " font-weight=\"bold\"" } else { "" };
        let (code, colour) = (look.ink.code(), look.ink.colour(canvas.theme));
        let text = escaped(text);
        let _ = write!(
            canvas.body,
            "<text class=\"f{code}\" x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{colour}\"{anchor}{weight}{turn}>{text}</text>"
        );
        Ok(())
    }

    fn estimate_text_size<T: BackendTextStyle>(
        &self,
        text: &str,
        style: &T,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        Ok((text_width(text, style.size()).ceil() as u32, style.size().ceil() as u32))
    }

    fn blit_bitmap(&mut self, _: BackendCoord, _: (u32, u32), _: &[u8]) -> Drawn {
        // No chart holds a picture.
        Ok(())
    }
}
