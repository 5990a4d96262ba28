use std::ffi::{CString, c_char, c_int};

use serde_json::json;

use crate::c_text::{c_line, c_text, pointer};

/// Changes in their order, in the words of ip(8), bridge(8) and xenstore-write(1).
#[derive(Debug)]
pub struct Plan {
    lines: Vec<CString>,
    warnings: Vec<CString>,
    text: CString,
    json: CString,
}

impl From<xennet_core::Plan> for Plan {
    fn from(plan: xennet_core::Plan) -> Self {
        let lines: Vec<CString> = plan.lines().map(|line| c_line(&line)).collect();
        let warnings = plan.warnings().iter().map(|warning| c_line(&warning.to_string()));
        Self {
            text: c_text(
                lines.iter().flat_map(|line| [line.as_bytes(), b"\n"]).collect::<Vec<_>>().concat(),
            ),
            json: c_text(json!(plan).to_string()),
            warnings: warnings.collect(),
            lines,
        }
    }
}

/// Whether there is nothing to change: 1 or 0. 1 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_plan_is_empty(plan: Option<&Plan>) -> c_int {
    plan.is_none_or(|plan| plan.lines.is_empty()).into()
}

/// How many changes there are; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_plan_count(plan: Option<&Plan>) -> usize {
    plan.map_or(0, |plan| plan.lines.len())
}

/// The change at `index`, from 0, as one line without an end of line: "link set dev vif3.0
/// master xenbr0". NULL when there is none. It lives as long as the plan.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_plan_line(plan: Option<&Plan>, index: usize) -> *const c_char {
    pointer(plan.and_then(|plan| plan.lines.get(index)))
}

/// All changes, a line each. It lives as long as the plan. NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_plan_text(plan: Option<&Plan>) -> *const c_char {
    pointer(plan.map(|plan| &plan.text))
}

/// Changes and warnings as JSON: {"changes":["link set dev vif3.0 master xenbr0"],"warnings":[]}.
/// Later versions may add to it. It lives as long as the plan. NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_plan_json(plan: Option<&Plan>) -> *const c_char {
    pointer(plan.map(|plan| &plan.json))
}

/// How many warnings there are; 0 for NULL. A plan with a warning is carried out all the same.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_plan_warning_count(plan: Option<&Plan>) -> usize {
    plan.map_or(0, |plan| plan.warnings.len())
}

/// The warning at `index`, from 0, as one line: what may keep the vif from working, and what to do
/// about it. NULL when there is none. It lives as long as the plan.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_plan_warning(plan: Option<&Plan>, index: usize) -> *const c_char {
    pointer(plan.and_then(|plan| plan.warnings.get(index)))
}

/// Frees a plan. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_plan_free(plan: Option<Box<Plan>>) {
    drop(plan);
}
