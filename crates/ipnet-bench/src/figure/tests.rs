use super::*;

fn bars() -> Bars {
    Bars {
        title: "Digits in time <20 classes> & \"both\"".into(),
        y_label: "Accuracy [%]".into(),
        y_range: Some((0.0, 100.0)),
        reference: Some((5.0, "chance".into())),
        groups: vec!["no memory".into(), "IP at the sensor".into()],
        series: vec![
            BarSeries { label: "synthetic".into(), values: vec![vec![48.0, 49.5], vec![95.0, 96.0]] },
            BarSeries { label: "recorded".into(), values: vec![vec![], vec![94.0]] },
        ],
    }
}

fn curves() -> Curves {
    Curves {
        title: "Placement".into(),
        x_label: "tau [s]".into(),
        y_label: "Accuracy [%]".into(),
        log_x: true,
        markers: true,
        series: vec![
            Curve::over_seeds(
                "ip",
                [(1e-3, vec![50.0, 52.0]), (1e-2, vec![90.0, 94.0]), (1e-1, vec![f64::NAN])],
            ),
            Curve::line("lstm", [(0.0, 1.0), (1e-3, 95.0), (1e-1, 96.0)]),
        ],
        ..Curves::default()
    }
}

fn map(columns: usize, rows: usize) -> HeatMap {
    let value = |x: usize, y: usize| ((x * y) % 7) as f64;
    HeatMap {
        title: "Heat".into(),
        value_label: "Temperature rise [K]".into(),
        rows: (0..rows).map(|y| (0..columns).map(|x| value(x, y)).collect()).collect(),
        ..HeatMap::default()
    }
}

fn all() -> Vec<Box<dyn Plot>> {
    let confusion = Confusion {
        title: "Confusion".into(),
        classes: vec!["left".into(), "right".into()],
        counts: vec![vec![9, 1], vec![0, 0]],
    };
    let panels = Panels {
        title: "Maps".into(),
        columns: 2,
        panel_px: (300, 260),
        plots: vec![Box::new(map(8, 8)), Box::new(map(16, 4)), Box::new(curves())],
    };
    vec![Box::new(bars()), Box::new(curves()), Box::new(confusion), Box::new(map(32, 24)), Box::new(panels)]
}

/// How many times an element stands in an SVG.
fn count(svg: &str, element: &str) -> usize {
    svg.matches(&format!("<{element} ")).count()
}

#[test]
fn every_figure_is_well_formed_deterministic_and_draws_inside_its_frame() {
    for plot in all() {
        let text = svg(plot.as_ref()).unwrap();
        assert_eq!(text, svg(plot.as_ref()).unwrap());
        let (width, height) = plot.size();
        assert!(text.starts_with(&format!("<svg width=\"{width}\" height=\"{height}\"")), "{}", &text[..80]);
        assert!(text.trim_end().ends_with("</svg>"));
        assert!(!text.contains("NaN") && !text.contains("inf"), "{}", plot.title());
        for rectangle in text.split("<rect ").skip(1) {
            let number = |name: &str| -> i64 {
                let rest = rectangle.split_once(&format!("{name}=\"")).map_or("0", |(_, rest)| rest);
                rest.split('"').next().unwrap_or("0").parse().unwrap_or(0)
            };
            assert!(number(" x").max(number("x")) <= i64::from(width), "{}: {rectangle}", plot.title());
        }
    }
}

#[test]
fn text_is_escaped() {
    let text = svg(&bars()).unwrap();
    assert!(!text.contains("<20 classes>"), "an unescaped label would break the document");
    assert!(text.contains("&lt;20"));
}

#[test]
fn a_bar_shows_each_seed_and_leaves_out_what_was_not_measured() {
    let text = svg(&bars()).unwrap();
    // Two circles a point (fill and rim), five measured seeds.
    assert_eq!(count(&text, "circle"), 10);
    assert!(text.contains("chance") && text.contains("IP at the"));
}

#[test]
fn a_curve_leaves_out_what_is_not_finite() {
    let text = svg(&curves()).unwrap();
    // One band, of "ip"; its third point has no finite seed and "lstm" has no x = 0 on a log axis.
    assert_eq!(count(&text, "polygon") - count_triangles(&text), 1);
    // The legend's marker, and one for each of the two points that are left.
    assert_eq!(count(&text, "circle"), 3);
}

/// A polyline of one point is none to whoever reads the SVG: its marker stands for it.
#[test]
fn a_curve_of_one_point_is_a_marker_without_a_line() {
    let one = |points: &[(f64, f64)]| {
        let series = vec![Curve::line("one", points.iter().copied())];
        svg(&Curves { title: "One".into(), series, ..Curves::default() }).unwrap()
    };
    let (point, line) = (one(&[(1.0, 2.0)]), one(&[(1.0, 2.0), (2.0, 3.0)]));
    let short = |text: &str| {
        text.split("points=\"").skip(1).filter(|p| !p[..p.find('"').unwrap()].trim().contains(' ')).count()
    };
    assert_eq!((short(&point), short(&line)), (0, 0), "{point}");
    assert!(count(&point, "circle") > 0 && count(&line, "polyline") > count(&point, "polyline"));
}

fn count_triangles(text: &str) -> usize {
    let points = |polygon: &str| {
        polygon
            .split("points=\"")
            .nth(1)
            .map_or(0, |p| p.split('"').next().unwrap_or("").split_whitespace().count())
    };
    text.split("<polygon ").skip(1).filter(|polygon| points(polygon) == 3).count()
}

#[test]
fn an_empty_figure_says_so() {
    for plot in [
        Box::new(Bars::default()) as Box<dyn Plot>,
        Box::new(Curves::default()),
        Box::new(HeatMap::default()),
    ] {
        assert!(svg(plot.as_ref()).unwrap().contains("no data"));
    }
}

#[test]
fn data_that_do_not_fit_are_refused_with_the_title() {
    let mut odd = bars();
    odd.series[1].values.pop();
    let error = svg(&odd).unwrap_err().to_string();
    assert!(error.contains("\"recorded\" has 1 bars, expected one for each of 2 groups"), "{error}");
    let mut odd = map(4, 4);
    odd.rows[2].pop();
    assert!(svg(&odd).unwrap_err().to_string().contains("row 2 has 3 values, expected 4"));
    let odd = Confusion { classes: vec!["a".into()], ..Confusion::default() };
    assert!(svg(&odd).is_err());
}

#[test]
fn a_flat_map_of_a_whole_sensor_stays_small() {
    let mut flat = map(1, 1);
    flat.rows = vec![vec![1.0; 346]; 260];
    assert!(svg(&flat).unwrap().len() < 60_000);
}

#[test]
fn spread_is_the_sample_standard_deviation() {
    assert_eq!(mean_sd(&[1.0, 3.0, f64::NAN]), Some((2.0, 2f64.sqrt())));
    assert_eq!(mean_sd(&[5.0]), Some((5.0, 0.0)));
    assert_eq!(mean_sd(&[f64::NAN]), None);
}

#[test]
fn numbers_read_with_three_digits() {
    let cases =
        [(0.0, "0"), (1.0, "1"), (99.48, "99.5"), (0.0125, "0.0125"), (2874.0, "2874"), (3.2e-9, "3.20e-9")];
    for (value, text) in cases {
        assert_eq!(style::short(value), text);
    }
}
