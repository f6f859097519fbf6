//! Which operation a request belongs to, as API Gateway decides it.

use std::collections::BTreeMap;

use crate::{Contract, Operation};

/// The operation that a request belongs to.
#[derive(Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// The operation.
    pub operation: &'a Operation,
    /// The values of the path's parameters, as the request has them.
    pub parameters: BTreeMap<String, String>,
}

impl Contract {
    /// The operation of a request, by its method in capitals and its path without the query: the one whose path matches
    /// with the fewest parameters. `None` is what the gateway sends to `$default`, a trailing slash among it.
    pub fn route(&self, method: &str, path: &str) -> Option<Route<'_>> {
        let of_method = self.operations.iter().filter(|operation| operation.method == method);
        of_method
            .filter_map(|operation| Some(Route { operation, parameters: matched(&operation.path, path)? }))
            .min_by_key(|route| rank(&route.operation.path))
    }

    /// The methods of the path that a request names, for `Allow`; none when there is no such path.
    pub fn methods(&self, path: &str) -> Vec<&str> {
        let matching = self.operations.iter().filter(|operation| matched(&operation.path, path).is_some());
        let Some(best) = matching.min_by_key(|operation| rank(&operation.path)) else { return Vec::new() };
        self.operations
            .iter()
            .filter(|other| other.path == best.path)
            .map(|other| &other.method[..])
            .collect()
    }
}

/// The less, the better the match: few parameters, and late ones.
fn rank(template: &str) -> (usize, Vec<bool>) {
    let parameters: Vec<bool> = template.split('/').map(|segment| parameter(segment).is_some()).collect();
    (parameters.iter().filter(|is_parameter| **is_parameter).count(), parameters)
}

/// The name of the parameter, if the segment of a path is one.
pub(crate) fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// The values of the parameters, if the path fits the template. A parameter is never empty.
fn matched(template: &str, path: &str) -> Option<BTreeMap<String, String>> {
    let (expected, given): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    if expected.len() != given.len() {
        return None;
    }
    let mut parameters = BTreeMap::new();
    for (expected, given) in expected.into_iter().zip(given) {
        match parameter(expected) {
            Some(name) if !given.is_empty() => {
                parameters.insert(name.to_owned(), given.to_owned());
            }
            None if expected == given => {}
            _ => return None,
        }
    }
    Some(parameters)
}
