//! The calling convention of Xen's hotplug scripts: argv and environment in, an exit code and XenStore keys out.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::config::VifConfig;
use crate::plan::Plan;
use crate::types::{Device, Mode, ParseError, VifId};
use crate::{Dom0Network, Error, Vif};

/// What a hotplug script was called to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// Plug or unplug.
    pub action: Action,
    /// netback's interface or the tap.
    pub device: Device,
    /// Which vif.
    pub id: VifId,
    /// What the vif is plugged into, by the name of the script; none leaves it to XenStore's `script`.
    pub mode: Option<Mode>,
    /// The backend's directory in XenStore, as libxl gives it.
    pub backend: String,
    /// `key=value` arguments, and what the environment adds; XenStore overrides them.
    pub given: Vec<(String, Vec<u8>)>,
}

/// Plug or unplug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "libxl knows exactly these two")]
pub enum Action {
    /// `online` for a vif, `add` for a tap.
    Online,
    /// `offline` for a vif, `remove` for a tap.
    Offline,
}

/// What else may stand in a script's arguments: these say which device is meant.
const CONTEXT: [&str; 7] =
    ["type_if", "vif", "INTERFACE", "XENBUS_PATH", "XENBUS_TYPE", "XENBUS_BASE_PATH", "script"];

/// What the stock scripts take from the environment. Anything else there (`mtu`?) is not meant for us.
const FROM_ENVIRONMENT: [&str; 3] = ["bridge", "ip", "netdev"];

impl Call {
    /// Reads the arguments (without the script's own name) and the environment.
    ///
    /// None means that there is nothing to do, and that this is right: libxl calls a vif's script for its tap too.
    /// Arguments override the environment. Nothing is evaluated.
    ///
    /// An error (`EINVAL`) for a command that there is none of, a bad argument, and where nothing says which vif is
    /// meant.
    pub fn parse(
        args: impl IntoIterator<Item = OsString>,
        env: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Self>, Error> {
        let Arguments { command, values } = Arguments::parse(args)?;
        let value = |key: &str| {
            let argument =
                values.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.clone());
            argument
                .or_else(|| env(key).map(|value| value.as_bytes().to_vec()))
                .filter(|value| !value.is_empty())
        };
        let text = |key: &'static str| {
            let utf8 = |bytes| {
                String::from_utf8(bytes).map_err(|e| ParseError::new(key, e.as_bytes(), "UTF-8"))
            };
            value(key).map(utf8).transpose()
        };

        let device = match text("type_if")?.as_deref() {
            // Older libxl does not say.
            None | Some("vif") => Device::Vif,
            Some("tap") => Device::Tap,
            Some(other) => return Err(ParseError::new("type_if", other, "vif or tap").into()),
        };
        let (action, of) = match command.as_bytes() {
            b"online" => (Action::Online, Device::Vif),
            b"offline" => (Action::Offline, Device::Vif),
            b"add" => (Action::Online, Device::Tap),
            b"remove" => (Action::Offline, Device::Tap),
            other => {
                return Err(
                    ParseError::new("command", other, "online, offline, add or remove").into()
                );
            }
        };
        if of != device {
            return Ok(None);
        }

        let variable = if device == Device::Vif { "vif" } else { "INTERFACE" };
        let named = text(variable)?.map(|name| named(variable, &name, device)).transpose()?;
        let (id, backend) = match (text("XENBUS_PATH")?, named) {
            (Some(path), named) => {
                let id = VifId::from_xenbus_path(&path)?;
                if named.is_some_and(|named| named != id) {
                    let expected = format!("the same vif as XENBUS_PATH, {path}");
                    return Err(ParseError::new(
                        variable,
                        value(variable).unwrap_or_default(),
                        expected,
                    )
                    .into());
                }
                (id, path)
            }
            (None, Some(id)) => (id, id.xenbus_path()),
            (None, None) => {
                return Err(Error::Usage(format!(
                    "neither XENBUS_PATH nor {variable} is set; a hotplug script is called by xl, use `xennet vif` by hand"
                )));
            }
        };

        let from_env = FROM_ENVIRONMENT
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), env(key)?.as_bytes().to_vec())));
        let arguments = values.iter().filter(|(key, _)| !CONTEXT.contains(&key.as_str())).cloned();
        Ok(Some(Self {
            action,
            device,
            id,
            mode: None,
            backend,
            given: from_env.chain(arguments).collect(),
        }))
    }

    /// What [`run`](Self::run) would do now. Touches nothing.
    ///
    /// An error as [`Vif::plan_online`](crate::Vif::plan_online)'s.
    pub fn plan(&self, net: &mut Dom0Network) -> Result<Plan, Error> {
        let mut vif = self.vif(net)?;
        self.set_defaults(&mut vif)?;
        match self.action {
            Action::Online => vif.plan_online(),
            Action::Offline => vif.plan_offline(),
        }
    }

    /// Does what was asked, and says what was done. A failed plug is told to XenStore too.
    pub fn run(&self, net: &mut Dom0Network) -> Result<Plan, Error> {
        let mut vif = self.vif(net)?;
        match self.action {
            Action::Online => {
                self.set_defaults(&mut vif).inspect_err(|error| vif.report(error))?;
                vif.online()
            }
            Action::Offline => {
                // A bad value must not keep a device from being removed.
                let _ = self.set_defaults(&mut vif);
                vif.offline()
            }
        }
    }

    /// Tells XenStore why the call fails before it could begin.
    pub fn report(&self, net: &mut Dom0Network, error: &Error) {
        if let Ok(mut vif) = self.vif(net) {
            vif.report(error);
        }
    }

    fn vif<'n>(&self, net: &'n mut Dom0Network) -> Result<Vif<'n>, Error> {
        let mut vif = match self.device {
            Device::Vif => net.vif(self.id)?,
            Device::Tap => net.tap(self.id)?,
        };
        vif.set_backend(&self.backend);
        if let Some(mode) = self.mode {
            vif.set_mode(mode);
        }
        Ok(vif)
    }

    fn set_defaults(&self, vif: &mut Vif<'_>) -> Result<(), Error> {
        Ok(self.given.iter().try_for_each(|(key, value)| vif.set_default(key, value))?)
    }
}

struct Arguments {
    command: OsString,
    values: Vec<(String, Vec<u8>)>,
}

impl Arguments {
    fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, Error> {
        let (mut command, mut values) = (None, Vec::new());
        for arg in args {
            match split(&arg) {
                Some((key, value)) => values.push((known(key)?, value.to_owned())),
                None if command.is_none() => command = Some(arg),
                None => return Err(ParseError::new("argument", arg.as_bytes(), "key=value").into()),
            }
        }
        let usage =
            || Error::Usage("no command; expected online, offline, add or remove".to_owned());
        Ok(Self { command: command.ok_or_else(usage)?, values })
    }
}

fn split(arg: &OsStr) -> Option<(&[u8], &[u8])> {
    let bytes = arg.as_bytes();
    let at = bytes.iter().position(|b| *b == b'=')?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

fn known(key: &[u8]) -> Result<String, ParseError> {
    let known = CONTEXT.iter().chain(&FROM_ENVIRONMENT).chain(&VifConfig::KEYS);
    match known.into_iter().find(|name| name.as_bytes() == key) {
        Some(name) => Ok((*name).to_owned()),
        None => Err(ParseError::new(
            "argument",
            key,
            format!("one of the keys {}", VifConfig::KEYS.join(", ")),
        )),
    }
}

fn named(variable: &'static str, name: &str, device: Device) -> Result<VifId, ParseError> {
    match VifId::from_if_name(name).map_err(|error| error.under(variable))? {
        (id, of) if of == device => Ok(id),
        _ => Err(ParseError::new(variable, name, format!("the name of a {device}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(args: &[&str], env: &[(&str, &str)]) -> Result<Option<Call>, Error> {
        Call::parse(args.iter().map(Into::into), |key| {
            env.iter().find(|(name, _)| *name == key).map(|(_, value)| value.into())
        })
    }

    /// What libxl sets, captured from a real xl.
    const ENV: [(&str, &str); 6] = [
        ("XENBUS_BASE_PATH", "backend"),
        ("XENBUS_PATH", "backend/vif/1/0"),
        ("XENBUS_TYPE", "vif"),
        ("netdev", ""),
        ("script", "/etc/xen/scripts/vif-xennet"),
        ("vif", "vif1.0"),
    ];
    const TAP: (&str, &str) = ("INTERFACE", "vif1.0-emu");

    #[test]
    fn the_four_calls_of_libxl() {
        let tap = [ENV.as_slice(), &[TAP]].concat();
        for (args, env, action, device) in [
            (["online", "type_if=vif"], ENV.as_slice(), Action::Online, Device::Vif),
            (["offline", "type_if=vif"], &ENV, Action::Offline, Device::Vif),
            (["add", "type_if=tap"], &tap, Action::Online, Device::Tap),
            (["remove", "type_if=tap"], &tap, Action::Offline, Device::Tap),
        ] {
            let call = parse(&args, env).unwrap().unwrap();
            assert_eq!((call.action, call.device), (action, device), "{args:?}");
            assert_eq!(
                (call.id, call.backend.as_str()),
                (VifId { domid: 1, devid: 0 }, "backend/vif/1/0")
            );
        }
    }

    #[test]
    fn the_other_devices_call_does_nothing_and_is_right() {
        for args in [
            ["online", "type_if=tap"],
            ["offline", "type_if=tap"],
            ["add", "type_if=vif"],
            ["remove", "type_if=vif"],
        ] {
            assert_eq!(parse(&args, &ENV).unwrap(), None, "{args:?}");
        }
    }

    #[test]
    fn a_missing_type_if_means_vif() {
        assert_eq!(parse(&["online"], &ENV).unwrap().unwrap().device, Device::Vif);
        assert_eq!(parse(&["add"], &ENV).unwrap(), None);
    }

    #[test]
    fn arguments_override_the_environment_and_nothing_is_evaluated() {
        let call = parse(
            &["bridge=$(reboot)", "online", "bridge=`reboot`"],
            &[ENV.as_slice(), &[("bridge", "x")]].concat(),
        );
        let given = call.unwrap().unwrap().given;
        let last = given.iter().rev().find(|(key, _)| key == "bridge").unwrap();
        assert_eq!(last.1, b"`reboot`");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (args, env, word) in [
            (
                &["onlin"][..],
                &ENV[..],
                "command \"onlin\": expected online, offline, add or remove",
            ),
            (&[], &ENV, "no command"),
            (&["online", "type_if=pci"], &ENV, "type_if \"pci\": expected vif or tap"),
            (
                &["online", "brigde=x"],
                &ENV,
                "argument \"brigde\": expected one of the keys bridge,",
            ),
            (&["online", "now"], &ENV, "argument \"now\": expected key=value"),
            (&["online"], &[], "neither XENBUS_PATH nor vif is set"),
            (
                &["online", "XENBUS_PATH=backend/vbd/1/0"],
                &[],
                "XENBUS_PATH \"backend/vbd/1/0\": expected",
            ),
            (
                &["online", "vif=vif2.0"],
                &ENV,
                "vif \"vif2.0\": expected the same vif as XENBUS_PATH",
            ),
            (
                &["add", "type_if=tap", "INTERFACE=vif1.0"],
                &ENV,
                "INTERFACE \"vif1.0\": expected the name of a tap",
            ),
        ] {
            let error = parse(args, env).unwrap_err().to_string();
            assert!(error.contains(word), "{args:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_argument_panics(args in proptest::collection::vec(".{0,24}", 0..4), path: String) {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let _ = parse(&args, &[("XENBUS_PATH", &path)]);
        }
    }
}
