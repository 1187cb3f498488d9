//! Events to write.

use ipnet_events::Events;

/// `count` events all over a sensor of size `sensor`, several at the same time, ON and OFF mixed.
pub fn some_events(count: usize, sensor: (u16, u16)) -> Events {
    let mut events = Events::with_capacity(count);
    for i in 0..count as u64 {
        let mixed = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let (x, y) = (mixed % u64::from(sensor.0), (mixed >> 16) % u64::from(sensor.1));
        events.push(1000 + 5 * (i / 3), x as u16, y as u16, mixed & 1 << 40 == 0);
    }
    events
}
