//! Jobs that may begin, by whose turn it is, and those that wait for others.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::simulate::SimJob;

/// Where a job that may begin waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Kernels that keep the CPU, or whatever the plan says.
    Cpu,
    /// Kernels that were told to run on a GPU.
    Gpu,
    /// Irregular jobs that take a thread.
    Tasks,
    /// Irregular jobs that only wait.
    Outside,
}

/// Jobs that may begin, by whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Queues([BinaryHeap<(i32, Reverse<u32>)>; 4]);

impl Queues {
    pub fn push(&mut self, line: Line, turn: i32, job: u32) {
        self.0[line as usize].push((turn, Reverse(job)));
    }

    pub fn peek(&self, line: Line) -> Option<u32> {
        self.0[line as usize].peek().map(|(_, Reverse(job))| *job)
    }

    pub fn pop(&mut self, line: Line) -> Option<u32> {
        self.0[line as usize].pop().map(|(_, Reverse(job))| job)
    }

    pub fn len(&self, line: Line) -> usize {
        self.0[line as usize].len()
    }
}

/// Which jobs wait for which.
#[derive(Debug)]
pub(super) struct Gates {
    /// How many jobs each waits for yet.
    parents: Vec<u32>,
    /// Where the children of each begin in `children`.
    begins: Vec<u32>,
    children: Vec<u32>,
}

impl Gates {
    pub fn new(jobs: &[SimJob]) -> Self {
        let mut parents = vec![0; jobs.len()];
        let mut begins = vec![0_u32; jobs.len() + 1];
        // A job waits only for jobs before it, so that no circle makes the run endless.
        let parents_of = |at: usize| jobs[at].after.iter().map(|parent| *parent as usize).filter(move |p| *p < at);
        for (at, waits_for) in parents.iter_mut().enumerate() {
            for parent in parents_of(at) {
                *waits_for += 1;
                begins[parent + 1] += 1;
            }
        }
        for at in 0..jobs.len() {
            begins[at + 1] += begins[at];
        }
        let mut next = begins.clone();
        let mut children = vec![0; begins[jobs.len()] as usize];
        for at in 0..jobs.len() {
            for parent in parents_of(at) {
                children[next[parent] as usize] = at as u32;
                next[parent] += 1;
            }
        }
        Self { parents, begins, children }
    }

    /// Whether a job waits for nothing.
    pub fn is_open(&self, job: u32) -> bool {
        self.parents[job as usize] == 0
    }

    pub fn children(&self, job: u32) -> &[u32] {
        &self.children[self.begins[job as usize] as usize..self.begins[job as usize + 1] as usize]
    }

    /// The children that wait for nothing any more, now that this job has ended.
    pub fn end(&mut self, job: u32) -> Vec<u32> {
        let (from, to) = (self.begins[job as usize] as usize, self.begins[job as usize + 1] as usize);
        let Self { parents, children, .. } = self;
        children[from..to]
            .iter()
            .copied()
            .filter(|child| {
                let left = &mut parents[*child as usize];
                *left = left.saturating_sub(1);
                *left == 0
            })
            .collect()
    }
}
