// SPDX-License-Identifier: Apache-2.0
use std::collections::BTreeMap;
use std::fmt::Display;

pub trait Shape {
    fn area(&self) -> u64;
}

struct Square(u64);

impl Shape for Square {
    fn area(&self) -> u64 {
        (0..self.0).map(|x| x ^ self.0).sum()
    }
}

mod inner {
    #[inline(never)]
    pub fn total<T: super::Shape>(shapes: &[T]) -> u64 {
        shapes.iter().map(|s| s.area()).fold(0, |a, b| a.wrapping_add(b))
    }
}

#[inline(never)]
fn show<T: Display>(values: &[T]) -> String {
    values.iter().map(|v| format!("{v:>4}")).collect::<Vec<_>>().join(",")
}

fn main() {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for n in 0..50u64 {
        let t = inner::total(&[Square(n), Square(n * 2)]);
        *counts.entry(show(&[n, t])).or_insert(0) += t;
    }
    println!("{}", counts.values().sum::<u64>());
}
