// SPDX-License-Identifier: Apache-2.0
// Generics, closures, trait objects and the standard library, as Rust programs have them.
use std::collections::HashMap;
use std::io::Write;
use std::time::{Duration, Instant};

// Of the standard library since 1.66 only.
fn black_box<T>(x: T) -> T {
    unsafe {
        let copy = std::ptr::read_volatile(&x);
        std::mem::forget(x);
        copy
    }
}

trait Step {
    fn step(&self, x: u64) -> u64;
}

struct Mix<const N: usize>;

impl<const N: usize> Step for Mix<N> {
    #[inline(never)]
    fn step(&self, x: u64) -> u64 {
        (0..N as u64).fold(x, |acc, i| black_box(acc.wrapping_mul(6364136223846793005).wrapping_add(i)))
    }
}

#[inline(never)]
fn generic_sort<T: Ord + Copy>(items: &mut Vec<T>) -> T {
    items.sort_by(|a, b| b.cmp(a));
    items[0]
}

#[inline(never)]
fn count_words(text: &str) -> usize {
    let mut words: HashMap<&str, usize> = HashMap::new();
    for word in text.split(' ') {
        *words.entry(word).or_insert(0) += 1;
    }
    words.len()
}

fn main() {
    let end = Instant::now() + Duration::from_secs(120);
    println!("ready");
    std::io::stdout().flush().unwrap();
    let step: Box<dyn Step> = Box::new(Mix::<200000>);
    let text = "a few words that come again and again ".repeat(500);
    let mut x = 1u64;
    while Instant::now() < end {
        x = black_box(step.step(x));
        let mut items: Vec<u64> = (0..20000).map(|i| (i * x) % 10007).collect();
        x ^= generic_sort(&mut items);
        x ^= count_words(&text) as u64;
    }
    println!("{x}");
}
