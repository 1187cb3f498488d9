//! The step law on a CPU: blocks of neurons through all of time, rows of a block through the lanes.

mod adjoint;
mod forward;
mod law;
mod slopes;
mod spread;
mod window;

pub(crate) use backward_block::Backward;
pub(crate) use forward_block::Forward;
pub(crate) use law::Packed;
pub(crate) use law::is_plain;

mod backward_block;
mod forward_block;

/// `match` on the number of poles, as a constant.
macro_rules! with_poles {
    ($poles:expr, $P:ident => $body:expr) => {
        match $poles {
            1 => {
                const $P: usize = 1;
                $body
            }
            2 => {
                const $P: usize = 2;
                $body
            }
            _ => {
                const $P: usize = 3;
                $body
            }
        }
    };
}

/// `match` on the way of switching, as a type.
macro_rules! with_switch {
    ($kind:expr, $switch:ident => $body:expr) => {
        match $kind {
            $crate::cpu::thermal::law::Kind::Plain(formula) => {
                let $switch = $crate::cpu::thermal::law::Plain(formula);
                $body
            }
            $crate::cpu::thermal::law::Kind::Linear(formula) => {
                let $switch = $crate::cpu::thermal::law::Linear(formula);
                $body
            }
            $crate::cpu::thermal::law::Kind::Square(formula) => {
                let $switch = $crate::cpu::thermal::law::Square(formula);
                $body
            }
            $crate::cpu::thermal::law::Kind::Power(formula) => {
                let $switch = $crate::cpu::thermal::law::Power(formula);
                $body
            }
            $crate::cpu::thermal::law::Kind::Table(table) => {
                let $switch = $crate::cpu::thermal::law::Measured(table);
                $body
            }
        }
    };
}

/// `if` as a constant.
macro_rules! with_flag {
    ($flag:expr, $F:ident => $body:expr) => {
        if $flag {
            const $F: bool = true;
            $body
        } else {
            const $F: bool = false;
            $body
        }
    };
}

use {with_flag, with_poles, with_switch};
