//! Plots as SVG.

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 24.0;
const TOP: f64 = 8.0;

/// A line over time: its name, which is its colour's too, and its points.
pub(super) struct Series<'a> {
    pub name: &'a str,
    pub points: Vec<f64>,
}

/// A time in which something was wrong on purpose: from, to (seconds), what.
pub(super) type Band = (f64, f64, String);

/// How the height goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    FromZero,
    /// Each line ten times the one below.
    Powers,
}

/// Lines over time, with a legend.
pub(super) fn lines(
    series: &[Series<'_>],
    bands: &[Band],
    scale: Scale,
    label: impl Fn(f64) -> String,
) -> String {
    let seconds = series.iter().map(|series| series.points.len()).max();
    let seconds = float(seconds.unwrap_or(0)).max(1.0);
    let all = || series.iter().flat_map(|series| &series.points).copied();
    let top = all().fold(0.0, f64::max);
    let axis = Axis::new(scale, top, all().filter(|y| *y > 0.0).fold(top, f64::min));
    let x = |second: f64| LEFT + (WIDTH - LEFT - 8.0) * (second / seconds).clamp(0.0, 1.0);
    let mut svg = begin();
    for (from, to, what) in bands {
        let (from, to) = (x(*from), x(*to).max(x(*from) + 1.0));
        let (width, height) = (to - from, HEIGHT - TOP - BOTTOM);
        let _ = write!(
            svg,
            r#"<rect class="band" x="{from:.1}" y="{TOP}" width="{width:.1}" height="{height}"><title>{}</title></rect>"#,
            escape(what)
        );
    }
    axis.draw(&mut svg, &label);
    for tick in ticks(seconds) {
        let (at, y) = (x(tick), HEIGHT - 6.0);
        let _ = write!(
            svg,
            r#"<text x="{at:.1}" y="{y}" text-anchor="middle">{tick} s</text>"#
        );
    }
    for line in series {
        let mut points = String::new();
        for (second, point) in (1_u32..).zip(&line.points) {
            let _ = write!(
                points,
                "{:.1},{:.1} ",
                x(f64::from(second) - 0.5),
                axis.y(*point)
            );
        }
        let _ = write!(
            svg,
            r#"<polyline class="{}" points="{points}"/>"#,
            class(line.name)
        );
    }
    svg.push_str("</svg><p class=\"legend\">");
    for line in series {
        let _ = write!(
            svg,
            r#"<span class="{}">{}</span> "#,
            class(line.name),
            escape(line.name)
        );
    }
    svg.push_str("</p>");
    svg
}

/// Columns: what each stands for, and how high it is.
pub(super) fn columns(columns: &[(String, u64)]) -> String {
    let top = columns.iter().map(|(_, height)| *height).max().unwrap_or(0);
    let axis = Axis::new(Scale::FromZero, number(top), 0.0);
    let mut svg = begin();
    axis.draw(&mut svg, &|count| format!("{count:.0}"));
    let step = (WIDTH - LEFT - 8.0) / float(columns.len().max(1));
    let every = columns.len().div_ceil(8).max(1);
    for (place, (name, height)) in columns.iter().enumerate() {
        let (x, y) = (LEFT + step * float(place), axis.y(number(*height)));
        let (width, tall) = ((step - 2.0).max(1.0), HEIGHT - BOTTOM - y);
        let _ = write!(
            svg,
            r#"<rect class="column" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{tall:.1}"><title>up to {name}: {height}</title></rect>"#
        );
        if place % every == 0 {
            let (at, y) = (x + width / 2.0, HEIGHT - 6.0);
            let _ = write!(
                svg,
                r#"<text x="{at:.1}" y="{y}" text-anchor="middle">{name}</text>"#
            );
        }
    }
    svg.push_str("</svg>");
    svg
}

fn begin() -> String {
    format!(r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">"#)
}

struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    marks: Vec<f64>,
}

impl Axis {
    fn new(scale: Scale, top: f64, least: f64) -> Self {
        match scale {
            Scale::FromZero => {
                let step = round_up(top.max(1.0) / 4.0);
                let marks = (0..=4_u32).map(|mark| step * f64::from(mark)).collect();
                Self {
                    scale,
                    low: 0.0,
                    high: step * 4.0,
                    marks,
                }
            }
            Scale::Powers => {
                let low = least.max(1.0).log10().floor();
                let high = top.max(1.0).log10().ceil().max(low + 1.0);
                let mut marks = vec![low];
                while let Some(last) = marks.last().copied().filter(|last| *last < high) {
                    marks.push(last + 1.0);
                }
                let marks = marks.into_iter().map(|power| 10_f64.powf(power)).collect();
                Self {
                    scale,
                    low,
                    high,
                    marks,
                }
            }
        }
    }

    fn y(&self, value: f64) -> f64 {
        let value = match self.scale {
            Scale::FromZero => value,
            Scale::Powers => value.max(1.0).log10(),
        };
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share
    }

    fn draw(&self, svg: &mut String, label: &impl Fn(f64) -> String) {
        for mark in &self.marks {
            let (y, right, text) = (self.y(*mark), WIDTH - 8.0, label(*mark));
            let (beside, middle) = (LEFT - 6.0, y + 4.0);
            let _ = write!(
                svg,
                r#"<line class="grid" x1="{LEFT}" y1="{y:.1}" x2="{right}" y2="{y:.1}"/><text x="{beside}" y="{middle:.1}" text-anchor="end">{text}</text>"#
            );
        }
    }
}

/// The next of 1, 2, 5, 10, 20, 50 ...
fn round_up(number: f64) -> f64 {
    let power = 10_f64.powf(number.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let found = steps.into_iter().find(|step| *step >= number);
    found.unwrap_or(number).max(1.0)
}

fn ticks(seconds: f64) -> Vec<f64> {
    let step = round_up(seconds / 8.0);
    let ticks = (0..=8_u32).map(|tick| step * f64::from(tick));
    ticks.take_while(|tick| *tick <= seconds).collect()
}

/// A name without what cannot be in a class.
fn class(name: &str) -> String {
    name.replace(' ', "-")
}

/// Text that may stand in HTML.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[expect(clippy::cast_precision_loss, reason = "a drawing")]
pub(super) fn number(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "a drawing")]
fn float(number: usize) -> f64 {
    number as f64
}
