use std::ffi::{CString, c_char};

use xennet_core::types::VifId;

use crate::c_text::{c_text, pointer};

/// Which vifs there are.
#[derive(Debug)]
pub struct VifList(Vec<VifId>);

impl VifList {
    pub(crate) fn new(ids: Vec<VifId>) -> Self {
        Self(ids)
    }
}

/// How many vifs a list has; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_vif_list_count(vifs: Option<&VifList>) -> usize {
    vifs.map_or(0, |vifs| vifs.0.len())
}

/// The domain id of the vif at `index`, from 0; UINT32_MAX when there is none.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_vif_list_domid(vifs: Option<&VifList>, index: usize) -> u32 {
    vifs.and_then(|vifs| vifs.0.get(index)).map_or(u32::MAX, |id| id.domid.into())
}

/// The number of the vif at `index` within its guest; UINT32_MAX when there is none.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_vif_list_devid(vifs: Option<&VifList>, index: usize) -> u32 {
    vifs.and_then(|vifs| vifs.0.get(index)).map_or(u32::MAX, |id| id.devid)
}

/// Frees a list. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_vif_list_free(vifs: Option<Box<VifList>>) {
    drop(vifs);
}

/// Names of interfaces.
#[derive(Debug)]
pub struct Names(Vec<CString>);

impl Names {
    pub(crate) fn new(names: impl Iterator<Item = impl ToString>) -> Self {
        Self(names.map(|name| c_text(name.to_string())).collect())
    }
}

/// How many names there are; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_names_count(names: Option<&Names>) -> usize {
    names.map_or(0, |names| names.0.len())
}

/// The name at `index`, from 0; NULL when there is none. It lives as long as `names`.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_names_at(names: Option<&Names>, index: usize) -> *const c_char {
    pointer(names.and_then(|names| names.0.get(index)))
}

/// Frees names. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_names_free(names: Option<Box<Names>>) {
    drop(names);
}
