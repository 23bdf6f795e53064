//! Which points are connected, and since when.

/// A union-find forest that remembers at what every link was made. Trees are joined by size and their paths are not
/// shortened, so that any two points are O(log N) links apart and the links upwards from a point are in the order in which
/// they were made.
#[derive(Debug)]
pub(super) struct Forest {
    parent: Vec<usize>,
    size: Vec<usize>,
    /// The point that joined a tree to its parent: its height and index.
    link: Vec<(f64, usize)>,
}

/// What a root has in place of a link.
const NEVER: (f64, usize) = (f64::INFINITY, usize::MAX);

impl Forest {
    pub(super) fn new(points: usize) -> Self {
        Self { parent: (0..points).collect(), size: vec![1; points], link: vec![NEVER; points] }
    }

    pub(super) fn root(&self, mut point: usize) -> usize {
        while self.parent[point] != point {
            point = self.parent[point];
        }
        point
    }

    /// Joins the trees of two different roots at a point and returns the common root.
    pub(super) fn join(&mut self, a: usize, b: usize, at: (f64, usize)) -> usize {
        let (root, child) = if self.size[a] < self.size[b] { (b, a) } else { (a, b) };
        self.parent[child] = root;
        self.link[child] = at;
        self.size[root] += self.size[child];
        root
    }

    /// The height of the last link between two different points, if they are connected.
    pub(super) fn last_link(&self, mut a: usize, mut b: usize) -> Option<f64> {
        let mut height = None;
        while a != b {
            let earlier = if self.link[a] < self.link[b] { &mut a } else { &mut b };
            if self.parent[*earlier] == *earlier {
                return None;
            }
            height = Some(self.link[*earlier].0);
            *earlier = self.parent[*earlier];
        }
        height
    }
}
