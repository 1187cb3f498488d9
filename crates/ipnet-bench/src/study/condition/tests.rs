use super::*;
use ipnet_device::DeviceSet;
use ipnet_zoo::Placement;

#[test]
fn conditions_of_devices_are_for_junctions_only() {
    let ip = NetSpec::plain(Memory::Ip, Placement::Sensor);
    let lstm = NetSpec::plain(Memory::Lstm, Placement::Head);
    for condition in Condition::all() {
        assert!(condition.applies_to(&ip));
        assert_eq!(condition.applies_to(&lstm), !condition.is_of_devices(), "{condition:?}");
    }
}

/// Without heat a junction's answer does not depend on what came before; with it, it does.
#[test]
fn cut_heat_leaves_no_memory() {
    let law = DeviceSet::load("default").unwrap().reduce().unwrap().law;
    let cut = Condition::HeatCut.law(&law);
    let second = |law: &StepLaw, first_v: f64| {
        let mut heat_k = vec![0.0; law.poles.len()];
        law.step_expected(&mut heat_k, first_v);
        law.step_expected(&mut heat_k, 0.8 * law.v_max_v)
    };
    assert_eq!(second(&cut, 0.0), second(&cut, cut.v_max_v));
    assert!(second(&law, law.v_max_v) > second(&law, 0.0));
}

#[test]
fn factors_scale_what_they_name() {
    let law = DeviceSet::load("default").unwrap().reduce().unwrap().law;
    let spread = Condition::Spread(2.0).law(&law).spread;
    assert_eq!(spread.heat_d2d, 2.0 * law.spread.heat_d2d);
    assert_eq!(spread.v_critical_c2c, law.spread.v_critical_c2c);
    let noise = Condition::CycleNoise(3.0).law(&law).spread;
    assert_eq!(noise.v_critical_c2c, 3.0 * law.spread.v_critical_c2c);
    assert_eq!(Condition::Spread(1.0).law(&law), law);
}
