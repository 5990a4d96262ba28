//! What `xennet-core` promises to those who use it, as one file: xennet-core/api.txt.
//!
//! Made from the sources by following `pub` items and `pub use` from lib.rs on, bodies and private fields left out, so
//! that a change of the API shows in its diff. BLESS=1 writes it anew.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use syn::parse::{Parse, ParseStream};
use syn::{
    Attribute, Fields, File, Ident, ImplItem, Item, ItemImpl, ItemMod, TraitItem, Type, UseTree,
    Visibility, parse_quote,
};
use xennet_tests::c::root;

/// A module's path from the crate on: `["types", "nft"]`.
type ModPath = Vec<String>;
/// Where an item is defined: its module, and its name.
type Place = (ModPath, String);

#[test]
fn the_api_is_what_it_is_written_down_to_be() {
    let made = api(&root().join("xennet-core/src"));
    let file = root().join("xennet-core/api.txt");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &made).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap_or_default() == made,
        "xennet-core/api.txt is not up to date: BLESS=1 writes it; README.md says what may change in which version"
    );
}

#[test]
fn what_is_public_is_found_wherever_it_lies() {
    let dir = tempfile::TempDir::new().unwrap();
    let source = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    source(
        "lib.rs",
        "mod deep; pub mod open { pub use super::deep::{Kept as Known, Simple}; fn hidden() {} }
         pub use deep::Simple; mod other { use crate::open::Known; impl Known { pub fn late(&self) -> u8 { 1 } } }",
    );
    source(
        "deep.rs",
        "/// Words.
         #[derive(Debug)] pub struct Kept { pub a: u8, b: u8 } pub struct Unseen; pub struct Simple(pub u8, u8);
         impl Kept { pub fn seen(&self) { todo!() } pub(crate) fn unseen(&self) {} }
         impl std::fmt::Display for Kept { fn fmt(&self) { todo!() } }
         #[cfg(test)] mod tests { pub struct No; }",
    );
    let made = api(dir.path());
    let expected = "pub struct Simple(pub u8, _);
pub mod open {
    #[derive(Debug)]
    pub struct Known {
        pub a: u8,
        private: _,
    }
    impl Kept {
        pub fn seen(&self) {}
    }
    impl std::fmt::Display for Kept {}
    impl Known {
        pub fn late(&self) -> u8 {}
    }
    pub use crate::Simple;
}
";
    assert_eq!(made, expected);
}

fn api(sources: &Path) -> String {
    let mut krate = Crate::default();
    let text = fs::read_to_string(sources.join("lib.rs")).unwrap();
    krate.add(&[], sources, syn::parse_file(&text).unwrap().items);
    let items = krate.public(&[], &mut BTreeMap::new());
    prettyplease::unparse(&File { shebang: None, attrs: Vec::new(), items })
}

/// Every module of a crate, private ones too, with its items.
#[derive(Default)]
struct Crate {
    modules: BTreeMap<ModPath, Vec<Item>>,
}

impl Crate {
    /// Adds a module, and those that lie below it, in `dir` where they are files.
    fn add(&mut self, path: &[String], dir: &Path, items: Vec<Item>) {
        let mut own = Vec::new();
        for item in items.into_iter().filter(|item| !attributes(item).iter().any(is_test)) {
            match item {
                Item::Mod(module) => {
                    let name = module.ident.to_string();
                    let below = dir.join(&name);
                    let items =
                        module.content.clone().map_or_else(|| read(dir, &name), |(_, items)| items);
                    self.add(&[path, &[name]].concat(), &below, items);
                    own.push(Item::Mod(ItemMod { content: None, ..module }));
                }
                Item::Macro(item) if item.mac.path.segments.last().unwrap().ident == "bitflags" => {
                    let Flags { kind, constants } = item.mac.parse_body().unwrap();
                    own.extend([kind, constants]);
                }
                item => own.push(item),
            }
        }
        self.modules.insert(path.to_vec(), own);
    }

    /// What whoever uses the crate sees of a module. What was seen before under another path is only named.
    fn public(&self, module: &[String], seen: &mut BTreeMap<Place, String>) -> Vec<Item> {
        let mut all = Vec::new();
        let (mut names, mut modules) = (BTreeMap::new(), BTreeMap::new());
        for item in &self.modules[module] {
            match item {
                Item::Use(used) if is_public(&used.vis) => {
                    for (path, name) in leaves(&used.tree, &[]) {
                        let place = self.resolve(module, &path, 0);
                        let place =
                            place.unwrap_or_else(|| panic!("{module:?}: where is {path:?}?"));
                        names.insert(name, place);
                    }
                }
                Item::Mod(below) if is_public(&below.vis) => {
                    modules.insert(
                        below.ident.to_string(),
                        [module, &[below.ident.to_string()]].concat(),
                    );
                }
                item => {
                    if let Some((name, _)) = named(item).filter(|(_, vis)| is_public(vis)) {
                        names.insert(name.to_string(), (module.to_vec(), name.to_string()));
                    }
                }
            }
        }
        for (name, place) in names {
            let here =
                [&["crate".to_owned()], module, std::slice::from_ref(&name)].concat().join("::");
            if let Some(first) = seen.get(&place) {
                let first: syn::Path = syn::parse_str(first).unwrap();
                all.push(parse_quote!(pub use #first;));
                continue;
            }
            seen.insert(place.clone(), here);
            all.extend(self.whole(&place, &name));
        }
        for (name, path) in modules {
            let items = self.public(&path, seen);
            let name = syn::parse_str::<Ident>(&name).unwrap();
            all.push(parse_quote!(pub mod #name { #(#items)* }));
        }
        all
    }

    /// An item under the name that it is public by, and all that is implemented for it anywhere.
    fn whole(&self, place: &Place, name: &str) -> Vec<Item> {
        let defined = self.modules[&place.0]
            .iter()
            .find(|item| named(item).is_some_and(|(defined, _)| *defined == place.1));
        let mut all = vec![stripped(defined.unwrap().clone(), name)];
        for (module, items) in &self.modules {
            for item in items {
                let Item::Impl(of) = item else { continue };
                if self_path(of).and_then(|path| self.resolve(module, &path, 0)).as_ref()
                    == Some(place)
                {
                    all.extend(implementation(of.clone()));
                }
            }
        }
        all
    }

    /// Where the item is defined that a path in a module means; none when it is of another crate.
    fn resolve(&self, module: &[String], path: &[String], depth: u32) -> Option<Place> {
        assert!(depth < 32, "{module:?}: {path:?} leads in a circle");
        let (first, rest) = path.split_first()?;
        let below = [module, &path[..1]].concat();
        match first.as_str() {
            "crate" => return self.resolve(&[], rest, depth + 1),
            "self" => return self.resolve(module, rest, depth + 1),
            "super" => return self.resolve(module.split_last()?.1, rest, depth + 1),
            _ if self.modules.contains_key(&below) => return self.resolve(&below, rest, depth + 1),
            _ => {}
        }
        let items = self.modules.get(module)?;
        let is_it = |item: &&Item| named(item).is_some_and(|(name, _)| name == first);
        if rest.is_empty() && items.iter().any(|item| is_it(&item)) {
            return Some((module.to_vec(), first.clone()));
        }
        items.iter().find_map(|item| {
            let Item::Use(used) = item else { return None };
            let leaf = leaves(&used.tree, &[]).into_iter().find(|(_, name)| name == first)?;
            self.resolve(module, &[&leaf.0, rest].concat(), depth + 1)
        })
    }
}

fn read(dir: &Path, name: &str) -> Vec<Item> {
    let files = [dir.join(format!("{name}.rs")), dir.join(name).join("mod.rs")];
    let file = files.iter().find(|file| file.exists()).unwrap_or_else(|| panic!("{files:?}"));
    syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap().items
}

/// Each path that a `use` has, with the name that it gets.
fn leaves(tree: &UseTree, before: &[String]) -> Vec<(ModPath, String)> {
    let with = |name: &Ident| [before, &[name.to_string()]].concat();
    match tree {
        UseTree::Path(path) => leaves(&path.tree, &with(&path.ident)),
        UseTree::Name(name) => vec![(with(&name.ident), name.ident.to_string())],
        UseTree::Rename(name) => vec![(with(&name.ident), name.rename.to_string())],
        UseTree::Group(group) => group.items.iter().flat_map(|tree| leaves(tree, before)).collect(),
        // The house has none in what is public; a private one leads to nothing that is.
        UseTree::Glob(_) => Vec::new(),
    }
}

/// `mod types;` is followed as a module.
fn named(item: &Item) -> Option<(&Ident, &Visibility)> {
    Some(match item {
        Item::Struct(item) => (&item.ident, &item.vis),
        Item::Enum(item) => (&item.ident, &item.vis),
        Item::Trait(item) => (&item.ident, &item.vis),
        Item::Type(item) => (&item.ident, &item.vis),
        Item::Const(item) => (&item.ident, &item.vis),
        Item::Static(item) => (&item.ident, &item.vis),
        Item::Fn(item) => (&item.sig.ident, &item.vis),
        _ => return None,
    })
}

fn is_public(vis: &Visibility) -> bool {
    matches!(vis, Visibility::Public(_))
}

fn is_test(attribute: &Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return false };
    list.path.is_ident("cfg") && list.tokens.to_string() == "test"
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Mod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Those that are a promise.
fn promises(attributes: &mut Vec<Attribute>) {
    let kept = ["derive", "non_exhaustive", "must_use", "repr"];
    attributes.retain(|attribute| kept.iter().any(|name| attribute.path().is_ident(name)));
}

/// An item without what only its author sees.
fn stripped(mut item: Item, name: &str) -> Item {
    let name: Ident = syn::parse_str(name).unwrap();
    match &mut item {
        Item::Struct(item) => {
            item.ident = name;
            promises(&mut item.attrs);
            fields(&mut item.fields);
        }
        Item::Enum(item) => {
            item.ident = name;
            promises(&mut item.attrs);
            for variant in &mut item.variants {
                promises(&mut variant.attrs);
                variant.fields.iter_mut().for_each(|field| {
                    field.attrs.retain(|attribute| attribute.path().is_ident("from"));
                });
            }
        }
        Item::Trait(item) => {
            promises(&mut item.attrs);
            for of in &mut item.items {
                if let TraitItem::Fn(function) = of {
                    promises(&mut function.attrs);
                    function.default = function.default.take().map(|_| parse_quote!({}));
                }
            }
        }
        Item::Fn(item) => {
            promises(&mut item.attrs);
            item.block = parse_quote!({});
        }
        Item::Type(item) => promises(&mut item.attrs),
        Item::Const(item) => promises(&mut item.attrs),
        Item::Static(item) => promises(&mut item.attrs),
        _ => {}
    }
    item
}

/// Public fields as they are, and one in place of all others.
fn fields(fields: &mut Fields) {
    fields.iter_mut().for_each(|field| promises(&mut field.attrs));
    let private = |vis: &Visibility| !is_public(vis);
    match fields {
        Fields::Named(fields) if fields.named.iter().any(|field| private(&field.vis)) => {
            let kept = fields.named.iter().filter(|field| !private(&field.vis));
            *fields = parse_quote!({ #(#kept,)* private: _ });
        }
        Fields::Unnamed(fields) => {
            for field in fields.unnamed.iter_mut().filter(|field| private(&field.vis)) {
                (field.ty, field.vis) = (parse_quote!(_), Visibility::Inherited);
            }
        }
        _ => {}
    }
}

/// What an `impl` adds for everybody; none when it is all private.
fn implementation(mut of: ItemImpl) -> Option<Item> {
    let inherent = of.trait_.is_none();
    of.attrs.clear();
    of.items.retain_mut(|item| match item {
        ImplItem::Fn(function) => {
            promises(&mut function.attrs);
            function.block = parse_quote!({});
            inherent && is_public(&function.vis)
        }
        ImplItem::Const(constant) => {
            promises(&mut constant.attrs);
            inherent && is_public(&constant.vis)
        }
        // A trait's own functions are the trait's to promise.
        ImplItem::Type(_) => true,
        _ => false,
    });
    (!inherent || !of.items.is_empty()).then_some(Item::Impl(of))
}

/// The path of the type that an `impl` is for.
fn self_path(of: &ItemImpl) -> Option<ModPath> {
    let of = match &*of.self_ty {
        Type::Reference(of) => &of.elem,
        _ => &of.self_ty,
    };
    let Type::Path(of) = &**of else { return None };
    Some(of.path.segments.iter().map(|segment| segment.ident.to_string()).collect())
}

/// What is in a `bitflags!`, as the type that it makes.
struct Flags {
    kind: Item,
    constants: Item,
}

impl Parse for Flags {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut attrs = input.call(Attribute::parse_outer)?;
        promises(&mut attrs);
        let vis: Visibility = input.parse()?;
        input.parse::<syn::Token![struct]>()?;
        let name: Ident = input.parse()?;
        input.parse::<syn::Token![:]>()?;
        let bits: Type = input.parse()?;
        let body;
        syn::braced!(body in input);
        let mut constants = Vec::<ImplItem>::new();
        while !body.is_empty() {
            body.call(Attribute::parse_outer)?;
            body.parse::<syn::Token![const]>()?;
            let (flag, _, value): (Ident, syn::Token![=], syn::Expr) =
                (body.parse()?, body.parse()?, body.parse()?);
            body.parse::<syn::Token![;]>()?;
            constants.push(parse_quote!(pub const #flag: Self = #value;));
        }
        Ok(Self {
            kind: parse_quote!(#(#attrs)* #vis struct #name(#bits);),
            constants: parse_quote!(impl #name { #(#constants)* }),
        })
    }
}
