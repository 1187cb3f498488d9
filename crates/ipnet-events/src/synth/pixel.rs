//! One model of a DVS pixel, for every synthetic scene.
//!
//! With `I` the intensity, `L = ln(I + I_dark)` and `v` its value behind the photoreceptor's first-order low-pass
//! (cut-off proportional to the photocurrent), a pixel holds `d = v - v_reset` and fires ON at `d >= theta_on`, OFF at
//! `d <= -theta_off`. After a firing the reset switch stays closed for the refractory period, so `d` restarts from 0 at
//! its end. `d` also creeps up by the leak of that switch, which gives ON events at `leak / theta_on`; hot pixels are
//! pixels with a large leak. Photon shot noise adds events of both signs, four times more often in the dark.
//! Between two pictures `v` is taken linear in time and crossings are interpolated to the microsecond.
//!
//! Sources: pixel and refractory period: Lichtsteiner, Posch, Delbruck, IEEE JSSC 43(2), 2008. Leak events: Nozaki,
//! Delbruck, IEEE TED 64(8), 2017. Bandwidth, mismatch and the shot-noise law: Hu, Liu, Delbruck, "v2e", CVPRW 2021.
//! Interpolation in time: Rebecq et al., "ESIM", CoRL 2018. The readout's arbiter is not modelled: events are not delayed.

use super::canvas::{BLOCK, Canvas};
use crate::Events;
use ipnet_rng::Stream;

/// Blocks without motion are brought up to date, and events handed out, this often \[us\].
const SYNC_US: u64 = 10_000;

/// The numbers of a sensor; the defaults are a DVS128 in room light.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct PixelModel {
    /// Mean ON threshold, in units of ln I.
    pub threshold_on: f32,
    /// Mean OFF threshold, in units of ln I.
    pub threshold_off: f32,
    /// Relative standard deviation of the thresholds over pixels.
    pub threshold_mismatch: f32,
    /// Refractory period \[us\].
    pub refractory_us: f64,
    /// Intensity of a white surface: reflectances times this are intensities.
    pub illumination: f32,
    /// Intensity that equals the photodiode's dark current.
    pub dark: f32,
    /// Cut-off of the photoreceptor at intensity 1 \[Hz\].
    pub cutoff_hz: f32,
    /// Mean rate of leak events per pixel [1/s].
    pub leak_hz: f32,
    /// Rate of shot-noise events per dark pixel, both signs together [1/s].
    pub shot_hz: f32,
    /// Share of hot pixels.
    pub hot_share: f32,
}

impl Default for PixelModel {
    fn default() -> Self {
        Self {
            threshold_on: 0.17,
            threshold_off: 0.17,
            threshold_mismatch: 0.12,
            refractory_us: 500.0,
            illumination: 1.0,
            dark: 0.01,
            cutoff_hz: 400.0,
            leak_hz: 0.1,
            shot_hz: 0.3,
            hot_share: 0.0005,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Pixel {
    /// Intensity last seen, without illumination.
    reflectance: f32,
    /// `ln(I + I_dark)` of it.
    target: f32,
    /// Cut-off of the low-pass, `2 pi f` [1/us].
    rate: f32,
    /// Behind the low-pass.
    v: f32,
    /// `v - v_reset`.
    d: f32,
    on: f32,
    off: f32,
    /// Creep of `d` [1/us].
    leak: f32,
    /// The reset switch opens at this time \[us\].
    open_us: f64,
}

/// An array of pixels that watches a [`Canvas`].
#[derive(Debug, Clone)]
pub struct Sensor {
    model: PixelModel,
    width: usize,
    height: usize,
    pixels: Vec<Pixel>,
    /// Per block: the time it is up to date with \[us\].
    block_us: Vec<u64>,
    /// Per block: whether some pixel still follows its target.
    restless: Vec<bool>,
    now_us: u64,
    synced_us: u64,
    log_gain: f32,
    noise: Stream,
    pending: Vec<(u64, u16, u16, bool)>,
}

impl Sensor {
    /// A sensor that has looked at `canvas` for long at time `start_us`.
    ///
    /// `body` draws what belongs to the chip (mismatch, hot pixels), `noise` what differs from recording to recording.
    pub fn new(model: PixelModel, canvas: &Canvas, start_us: u64, mut body: Stream, noise: Stream) -> Self {
        let (width, height) = canvas.size();
        let mut pixel = |&reflectance: &f32| {
            let mut threshold =
                |mean: f32| mean * (1.0 + model.threshold_mismatch * body.normal() as f32).max(0.3);
            let (on, off) = (threshold(model.threshold_on), threshold(model.threshold_off));
            let spread = (0.5 * body.normal()).exp() as f32;
            let heat = body.uniform_in(100.0, 1000.0) as f32;
            let hot = body.uniform() < f64::from(model.hot_share);
            let leak_hz = model.leak_hz * spread * if hot { heat } else { 1.0 };
            let (target, rate) = model.respond(reflectance);
            Pixel {
                reflectance,
                target,
                rate,
                v: target,
                d: 0.0,
                on,
                off,
                leak: leak_hz * on * 1e-6,
                open_us: 0.0,
            }
        };
        let mut pixels: Vec<Pixel> = canvas.pixels().iter().map(&mut pixel).collect();
        // The reset levels of a sensor that has run for long lie anywhere between the thresholds.
        pixels
            .iter_mut()
            .for_each(|p| p.d = body.uniform_in(-0.5 * f64::from(p.off), f64::from(p.on)) as f32);
        let blocks = width.div_ceil(BLOCK) * height.div_ceil(BLOCK);
        Self {
            model,
            width,
            height,
            pixels,
            block_us: vec![start_us; blocks],
            restless: vec![false; blocks],
            now_us: start_us,
            synced_us: start_us,
            log_gain: 0.0,
            noise,
            pending: Vec::new(),
        }
    }

    /// Watches until `until_us`, when the scene looks like `canvas` and the light is `exp(log_gain)` of its mean;
    /// appends the events that are final, in order of time.
    pub fn watch(&mut self, canvas: &Canvas, log_gain: f32, until_us: u64, events: &mut Events) {
        if until_us <= self.now_us {
            return;
        }
        let flicker = log_gain != self.log_gain;
        let sync = until_us >= self.synced_us + SYNC_US;
        for block in 0..self.block_us.len() {
            let changed = canvas.changed()[block];
            if changed || flicker {
                // Up to the last picture, the block saw what it had seen before.
                self.advance_block(block, self.now_us);
            }
            if changed {
                self.look(block, canvas);
            }
        }
        self.log_gain = log_gain;
        for block in 0..self.block_us.len() {
            if sync || flicker || canvas.changed()[block] || self.restless[block] {
                self.advance_block(block, until_us);
            }
        }
        self.now_us = until_us;
        if sync {
            self.hand_out(until_us, events);
        }
    }

    /// Brings every pixel up to date and hands out all events that are left.
    pub fn finish(&mut self, events: &mut Events) {
        for block in 0..self.block_us.len() {
            self.advance_block(block, self.now_us);
        }
        self.hand_out(self.now_us, events);
    }

    fn hand_out(&mut self, now_us: u64, events: &mut Events) {
        self.synced_us = now_us;
        self.pending.sort_unstable_by_key(|&(t, x, y, _)| (t, y, x));
        for (t, x, y, polarity) in self.pending.drain(..) {
            events.push(t, x, y, polarity);
        }
    }

    fn block_span(&self, block: usize) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let per_row = self.width.div_ceil(BLOCK);
        let (x, y) = (block % per_row * BLOCK, block / per_row * BLOCK);
        (x..(x + BLOCK).min(self.width), y..(y + BLOCK).min(self.height))
    }

    /// Takes over the intensities of a block.
    fn look(&mut self, block: usize, canvas: &Canvas) {
        let (columns, rows) = self.block_span(block);
        for y in rows {
            let row = y * self.width + columns.start..y * self.width + columns.end;
            for (pixel, &reflectance) in self.pixels[row.clone()].iter_mut().zip(&canvas.pixels()[row]) {
                if pixel.reflectance != reflectance {
                    pixel.reflectance = reflectance;
                    (pixel.target, pixel.rate) = self.model.respond(reflectance);
                }
            }
        }
    }

    fn advance_block(&mut self, block: usize, until_us: u64) {
        let from_us = std::mem::replace(&mut self.block_us[block], until_us);
        if from_us >= until_us {
            return;
        }
        let (columns, rows) = self.block_span(block);
        let (from, dt) = (from_us as f64, (until_us - from_us) as f32);
        let shots = self.draw_shots(&columns, &rows, from, f64::from(dt));
        let mut unrest = 0.0_f32;
        for y in rows {
            for x in columns.clone() {
                let index = y * self.width + x;
                let pixel = &mut self.pixels[index];
                let target = pixel.target + self.log_gain;
                let step = dt * pixel.rate;
                let dv = (target - pixel.v) * (step / (1.0 + step));
                let d = pixel.d + dv + pixel.leak * dt;
                unrest = unrest.max((target - pixel.v - dv).abs());
                pixel.v += dv;
                let quiet = pixel.open_us <= from && d < pixel.on && d > -pixel.off;
                if quiet && shots.iter().all(|shot| shot.0 != index) {
                    pixel.d = d;
                    continue;
                }
                let slope = dv / dt + pixel.leak;
                let mut fire = |t: f64, on: bool| self.pending.push((t as u64, x as u16, y as u16, on));
                let mut from = from;
                for &(_, t, on) in shots.iter().filter(|shot| shot.0 == index) {
                    pixel.run(from, t, slope, self.model.refractory_us, &mut fire);
                    if pixel.open_us <= t {
                        fire(t, on);
                        pixel.open_us = t + self.model.refractory_us;
                        pixel.d = 0.0;
                    }
                    from = t;
                }
                pixel.run(from, until_us as f64, slope, self.model.refractory_us, &mut fire);
            }
        }
        self.restless[block] = unrest > 1e-3;
    }

    /// Shot-noise events of a block: `(pixel, time, sign)`, in order of time.
    fn draw_shots(
        &mut self,
        columns: &std::ops::Range<usize>,
        rows: &std::ops::Range<usize>,
        from: f64,
        dt: f64,
    ) -> Vec<(usize, f64, bool)> {
        let mean = f64::from(self.model.shot_hz) * 1e-6 * dt * (columns.len() * rows.len()) as f64;
        let count = self.noise.poisson(mean);
        let mut shots = Vec::new();
        for _ in 0..count {
            let x = columns.start + self.noise.below(columns.len());
            let y = rows.start + self.noise.below(rows.len());
            let (t, on, keep) =
                (from + dt * self.noise.uniform(), self.noise.uniform() < 0.5, self.noise.uniform());
            let index = y * self.width + x;
            if keep < f64::from(1.0 - 0.75 * self.pixels[index].reflectance.clamp(0.0, 1.0)) {
                shots.push((index, t, on));
            }
        }
        shots.sort_by(|a, b| a.1.total_cmp(&b.1));
        shots
    }
}

impl Pixel {
    /// Moves `d` along `slope` from `from` to `until`, firing on the way.
    fn run(
        &mut self,
        from: f64,
        until: f64,
        slope: f32,
        refractory_us: f64,
        fire: &mut impl FnMut(f64, bool),
    ) {
        let mut t = from;
        loop {
            if self.open_us > t {
                self.d = 0.0;
                if self.open_us >= until {
                    return;
                }
                t = self.open_us;
            }
            let end = self.d + slope * (until - t) as f32;
            let (limit, on) = if end >= self.on {
                (self.on, true)
            } else if end <= -self.off {
                (-self.off, false)
            } else {
                self.d = end;
                return;
            };
            t = (t + f64::from((limit - self.d) / slope).max(0.0)).min(until);
            fire(t, on);
            self.d = 0.0;
            self.open_us = t + refractory_us;
        }
    }
}

impl PixelModel {
    /// `ln(I + I_dark)` and the cut-off `2 pi f` [1/us] for a reflectance.
    fn respond(&self, reflectance: f32) -> (f32, f32) {
        let current = self.illumination * reflectance.max(0.0) + self.dark;
        (current.ln(), std::f32::consts::TAU * self.cutoff_hz * 1e-6 * current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::{Capsule, Surface};

    const SIDE: usize = 64;

    fn quiet() -> PixelModel {
        PixelModel {
            threshold_mismatch: 0.0,
            leak_hz: 0.0,
            shot_hz: 0.0,
            hot_share: 0.0,
            dark: 0.0,
            cutoff_hz: 1e6,
            ..PixelModel::default()
        }
    }

    fn sensor(model: PixelModel, canvas: &Canvas) -> Sensor {
        Sensor::new(model, canvas, 0, Stream::named(1, "test/body"), Stream::named(1, "test/noise"))
    }

    /// A still scene for `seconds`.
    fn stare(model: PixelModel, reflectance: f32, seconds: u64) -> Events {
        let mut canvas = Canvas::new(SIDE, SIDE, vec![reflectance; SIDE * SIDE]);
        canvas.clear();
        let mut sensor = sensor(model, &canvas);
        let mut events = Events::default();
        for t in (5000..=seconds * 1_000_000).step_by(5000) {
            sensor.watch(&canvas, 0.0, t, &mut events);
        }
        sensor.finish(&mut events);
        events
    }

    #[test]
    fn a_still_scene_without_noise_is_silent() {
        assert!(stare(quiet(), 0.4, 2).is_empty());
    }

    /// A slow brightening by a factor e in steps of ln I gives 1 / theta ON events per pixel, one more or less by
    /// where the pixel stood between its thresholds.
    #[test]
    fn a_ramp_of_log_intensity_gives_its_number_of_events() {
        let canvas = {
            let mut canvas = Canvas::new(SIDE, SIDE, vec![0.2; SIDE * SIDE]);
            canvas.clear();
            canvas
        };
        let mut sensor = sensor(quiet(), &canvas);
        let mut events = Events::default();
        for step in 1..=1000 {
            sensor.watch(&canvas, step as f32 * 1e-3, step * 1000, &mut events);
        }
        sensor.finish(&mut events);
        assert!(events.polarity.iter().all(|&on| on));
        assert!(events.t.is_sorted());
        // While the reset switch is closed (0.5 ms a firing) the ramp's 5e-4 are lost.
        let per_pixel = events.len() as f64 / (SIDE * SIDE) as f64;
        let expected = 1.0 / (0.17 + 5e-4);
        // The first firing comes early by the mean starting offset, 1/4 theta, and the last is cut off by 1/2 theta.
        assert!((per_pixel - expected - 0.25 + 0.5).abs() < 0.1, "{per_pixel} of {expected}");
        for pixel in [(0, 0), (17, 40)] {
            let times: Vec<u64> = (0..events.len())
                .filter(|&i| (events.x[i], events.y[i]) == pixel)
                .map(|i| events.t[i])
                .collect();
            for pair in times.windows(2) {
                let interval = (pair[1] - pair[0]) as f64;
                assert!((interval - 170_500.0).abs() < 400.0, "{interval} us between events of {pixel:?}");
            }
        }
    }

    /// No two events of a pixel are closer than the refractory period, whatever the scene does.
    #[test]
    fn the_refractory_period_bounds_the_rate() {
        let mut canvas = Canvas::new(SIDE, SIDE, vec![0.05; SIDE * SIDE]);
        let model = PixelModel { refractory_us: 2000.0, ..PixelModel::default() };
        let mut sensor = sensor(model, &canvas);
        let mut events = Events::default();
        for step in 1..=400_u64 {
            canvas.clear();
            let x = (step * 7 % 64) as f32;
            let bar = Capsule { a: (x, 0.0), b: (x, 64.0), radius_a: 4.0, radius_b: 4.0 };
            canvas.paint(&bar, &Surface::plain(0.9));
            sensor.watch(&canvas, 0.0, step * 700, &mut events);
        }
        sensor.finish(&mut events);
        assert!(events.len() > 10_000);
        let mut last = vec![None; SIDE * SIDE];
        for i in 0..events.len() {
            let pixel = usize::from(events.y[i]) * SIDE + usize::from(events.x[i]);
            if let Some(before) = last[pixel].replace(events.t[i]) {
                // Times are cut to whole microseconds.
                assert!(events.t[i] - before >= 1999, "{} us apart", events.t[i] - before);
            }
        }
    }

    /// Leak: a renewal process without spread of its own, so n events of a rate r in time T obey |n - rTP| <= P, and
    /// all are ON.
    #[test]
    fn leak_events_come_at_their_rate() {
        let model = PixelModel { leak_hz: 2.0, ..quiet() };
        let events = stare(model, 0.3, 4);
        assert!(events.polarity.iter().all(|&on| on));
        // The rate's spread over pixels is log-normal with sigma 1/2: mean exp(1/8), sd 0.6 per pixel.
        let pixels = (SIDE * SIDE) as f64;
        let expected = 2.0 * 4.0 * (0.125_f64).exp() * pixels;
        let bound = 5.0 * 8.0 * 0.61 * pixels.sqrt() + 0.5 * pixels;
        assert!((events.len() as f64 - expected).abs() < bound, "{} of {expected}", events.len());
    }

    /// Shot noise: Poisson; its rate falls to a quarter from black to white; signs are even. Bounds: 5 sigma.
    #[test]
    fn shot_noise_has_its_rate_and_both_signs() {
        let model = PixelModel { shot_hz: 3.0, refractory_us: 0.0, ..quiet() };
        for (reflectance, share) in [(0.001, 1.0), (1.0, 0.25)] {
            let events = stare(model, reflectance, 2);
            let expected = 3.0 * 2.0 * share * (SIDE * SIDE) as f64;
            let n = events.len() as f64;
            assert!((n - expected).abs() < 5.0 * expected.sqrt() + 0.001 * expected, "{n} of {expected}");
            let on = events.polarity.iter().filter(|&&on| on).count() as f64;
            assert!((on - n / 2.0).abs() < 5.0 * (n / 4.0).sqrt(), "{on} ON of {n}");
        }
    }

    /// A bright bar that moves right is led by ON and followed by OFF.
    #[test]
    fn a_moving_bar_is_led_by_its_own_sign() {
        let mut canvas = Canvas::new(SIDE, SIDE, vec![0.1; SIDE * SIDE]);
        let mut sensor = sensor(PixelModel { refractory_us: 100.0, ..quiet() }, &canvas);
        let mut events = Events::default();
        for step in 1..=80_u64 {
            canvas.clear();
            let x = 10.0 + 0.5 * step as f32;
            let bar = Capsule { a: (x, -9.0), b: (x, 73.0), radius_a: 5.0, radius_b: 5.0 };
            canvas.paint(&bar, &Surface::plain(0.8));
            sensor.watch(&canvas, 0.0, step * 2000, &mut events);
        }
        sensor.finish(&mut events);
        // The centre of the bar is at column 40 at step 60, after 120 ms.
        let mean_time = |on: bool| {
            let times: Vec<f64> = (0..events.len())
                .filter(|&i| events.x[i] == 40 && events.polarity[i] == on)
                .map(|i| events.t[i] as f64)
                .collect();
            assert!(!times.is_empty());
            times.iter().sum::<f64>() / times.len() as f64
        };
        assert!(mean_time(true) < 115_000.0 && mean_time(false) > 125_000.0);
    }
}
