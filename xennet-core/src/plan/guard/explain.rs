use std::collections::{BTreeMap, BTreeSet};

use super::Frame;
use super::packet::Packet;
use crate::types::{
    IfName, NftChain, NftCmp, NftElement, NftExpr, NftHook, NftHookPoint, NftMeta, NftPolicy,
    NftRegister, NftRule, NftSet, NftValue, NftVerdict,
};

/// What becomes of a frame, and why. `xennet guard explain`
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// Whether it gets through.
    pub passes: bool,
    /// What each rule says of itself that held for it, in their order.
    pub path: Vec<String>,
    /// What the rule says that decided; none when no rule objected, and the chain's policy let it pass.
    pub deciding: Option<String>,
}

/// Does with a frame what the kernel would: with these chains and rules, and these elements of their sets.
///
/// A rule with an expression that no rule of the guard's has is taken not to hold.
///
/// A frame to a bridge itself (01:80:c2:00:00:00 to 0f) passes where both the chain before the bridge and the one at
/// its input let it pass; which of the two it meets depends on the bridge's settings.
pub fn explain(
    chains: &[NftChain],
    rules: &[NftRule],
    elements: &[(NftSet, NftElement)],
    frame: &Frame,
) -> Explanation {
    let Some(packet) = Packet::new(&frame.bytes) else {
        return Explanation {
            passes: false,
            path: Vec::new(),
            deciding: Some("no frame that a bridge would take".to_owned()),
        };
    };
    let mut walk = Walk {
        rules,
        sets: sets(elements),
        frame,
        packet,
        registers: [0; 64],
        steps: 0,
        path: Vec::new(),
    };
    let link_group = frame.bytes.starts_with(&[0x01, 0x80, 0xc2, 0, 0])
        && frame.bytes.get(5).is_some_and(|last| *last < 16);
    let mut points = vec![NftHookPoint::Ingress, NftHookPoint::Prerouting];
    points.extend(link_group.then_some(NftHookPoint::Input));
    let mut decided = false;
    for point in points {
        let hooked = |chain: &&NftChain| {
            let of_port = |device: &IfName| *device == frame.port;
            let here =
                |hook: &NftHook| hook.point == point && hook.device.as_ref().is_none_or(of_port);
            chain.hook.as_ref().is_some_and(here)
        };
        let mut here: Vec<&NftChain> = chains.iter().filter(hooked).collect();
        here.sort_by_key(|chain| chain.hook.as_ref().map(|hook| hook.priority));
        for chain in here {
            let verdict = walk.base_chain(&chain.name);
            let policy = chain.hook.as_ref().map(|hook| hook.policy);
            decided = verdict.is_some();
            if !verdict.unwrap_or(policy != Some(NftPolicy::Drop)) {
                return walk.explanation(false, decided);
            }
        }
    }
    walk.explanation(true, decided)
}

/// A frame on its way through the chains.
struct Walk<'a> {
    rules: &'a [NftRule],
    /// Of each set, its elements as the kernel has them.
    sets: BTreeMap<&'a str, BTreeSet<Vec<u8>>>,
    frame: &'a Frame,
    packet: Packet<'a>,
    registers: [u8; 64],
    steps: usize,
    path: Vec<String>,
}

/// More rules than any packet meets: the kernel takes no rules that go in circles.
const MOST_STEPS: usize = 10_000;

const PACKET_BROADCAST: u8 = 1;
const PACKET_MULTICAST: u8 = 2;

/// The kernel's `NFT_JUMP_STACK_SIZE`.
const DEEPEST: usize = 16;

impl<'a> Walk<'a> {
    /// Whether the packet passes; none when no rule decides.
    fn base_chain(&mut self, name: &'a str) -> Option<bool> {
        // Which rules are still to be seen, of the chain that we are in last.
        let mut stack = vec![self.chain(name)];
        while let Some(rules) = stack.last_mut() {
            let Some(rule) = rules.next() else {
                stack.pop();
                continue;
            };
            self.steps += 1;
            if self.steps > MOST_STEPS {
                return Some(false);
            }
            let Some(verdict) = self.rule(rule) else { continue };
            self.path.extend(rule.comment.clone());
            match verdict {
                NftVerdict::Accept => return Some(true),
                NftVerdict::Return => {
                    stack.pop();
                }
                NftVerdict::Goto(chain) => {
                    stack.pop();
                    stack.push(self.chain(chain));
                }
                NftVerdict::Jump(chain) if stack.len() < DEEPEST => stack.push(self.chain(chain)),
                NftVerdict::Drop | NftVerdict::Jump(_) => return Some(false),
            }
        }
        None
    }

    fn chain(&self, name: &'a str) -> impl Iterator<Item = &'a NftRule> + use<'a> {
        self.rules.iter().filter(move |rule| rule.chain == name)
    }

    /// Its verdict, if it comes to one.
    fn rule(&mut self, rule: &'a NftRule) -> Option<&'a NftVerdict> {
        for expression in &rule.expressions {
            if let NftExpr::Verdict(verdict) = expression {
                return Some(verdict);
            }
            self.expression(expression)?;
        }
        None
    }

    /// None when the rule ends here.
    fn expression(&mut self, expression: &NftExpr) -> Option<()> {
        match expression {
            NftExpr::Meta { key, register } => {
                let (bytes, length) = self.meta(*key)?;
                self.store(*register, bytes.get(..length)?)
            }
            NftExpr::Payload { base, offset, length, register } => {
                let bytes = self.packet.bytes(*base, *offset, *length)?;
                self.store(*register, bytes)
            }
            NftExpr::ExtHdr { header, present: true, register, .. } => {
                let present = self.packet.extension(*header).is_some();
                self.store(*register, &[u8::from(present)])
            }
            NftExpr::ExtHdr { header, offset, length, present: false, register } => {
                let bytes = self.packet.extension(*header)?;
                let (offset, length) =
                    (usize::try_from(*offset).ok()?, usize::try_from(*length).ok()?);
                self.store(*register, bytes.get(offset..offset.checked_add(length)?)?)
            }
            NftExpr::Bitwise { register, mask, xor } => {
                let bytes = self.registers.get_mut(start(*register)..)?.get_mut(..mask.len())?;
                for ((byte, mask), xor) in bytes.iter_mut().zip(mask).zip(xor) {
                    *byte = (*byte & mask) ^ xor;
                }
                Some(())
            }
            NftExpr::Cmp { register, op, data } => {
                let bytes = self.registers.get(start(*register)..)?.get(..data.len())?;
                let order = bytes.cmp(data);
                match op {
                    NftCmp::Eq => order.is_eq(),
                    NftCmp::Neq => order.is_ne(),
                    NftCmp::Lt => order.is_lt(),
                    NftCmp::Lte => order.is_le(),
                    NftCmp::Gt => order.is_gt(),
                    NftCmp::Gte => order.is_ge(),
                }
                .then_some(())
            }
            NftExpr::Lookup { set, register, inverted } => {
                let bytes = self.registers.get(start(*register)..)?;
                let found = self.sets.get(set.as_str()).is_some_and(|keys| {
                    let length = keys.iter().next().map_or(0, Vec::len);
                    bytes.get(..length).is_some_and(|key| keys.contains(key))
                });
                (found != *inverted).then_some(())
            }
            NftExpr::Immediate { register, data } => self.store(*register, data),
            // A mark is only read where a drop is counted.
            NftExpr::Counter(_)
            | NftExpr::Verdict(_)
            | NftExpr::SetMark { .. }
            | NftExpr::CountIn { .. } => Some(()),
            // The guard's rules have none of these; a rule that does is somebody else's, and says nothing here.
            NftExpr::Ct { .. }
            | NftExpr::DestinationType { .. }
            | NftExpr::Masquerade
            | NftExpr::Nat { .. }
            | NftExpr::Other { .. } => None,
        }
    }

    fn meta(&self, key: NftMeta) -> Option<([u8; 16], usize)> {
        let short = |bytes: &[u8]| (padded(bytes), bytes.len());
        Some(match key {
            NftMeta::Protocol => short(&self.packet.protocol.to_be_bytes()),
            NftMeta::Mark => short(&[0; 4]),
            NftMeta::IifName => (name(&self.frame.port), 16),
            // Where it goes is not decided yet.
            NftMeta::OifName => return None,
            // Of a frame to one station, whether it is for this host makes no difference to the guard.
            NftMeta::PacketType => short(&[match self.frame.bytes.get(..6)? {
                [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => PACKET_BROADCAST,
                [first, ..] if first & 1 == 1 => PACKET_MULTICAST,
                _ => 0,
            }]),
            NftMeta::IifType => short(&1_u16.to_ne_bytes()),
            NftMeta::BridgeName => (self.frame.bridge.as_ref().map_or([0; 16], name), 16),
            NftMeta::L4Proto => short(&[self.packet.transport?.protocol]),
            NftMeta::NfProto => short(&[match self.packet.protocol {
                0x0800 => 2,
                0x86dd => 10,
                _ => return None,
            }]),
        })
    }

    /// Fills up with zeroes to a whole register.
    fn store(&mut self, register: NftRegister, bytes: &[u8]) -> Option<()> {
        let whole = bytes.len().next_multiple_of(4);
        let to = self.registers.get_mut(start(register)..)?.get_mut(..whole)?;
        let (to, rest) = to.split_at_mut_checked(bytes.len())?;
        to.copy_from_slice(bytes);
        rest.fill(0);
        Some(())
    }

    fn explanation(self, passes: bool, decided: bool) -> Explanation {
        let deciding = self.path.last().filter(|_| decided).cloned();
        Explanation { passes, path: self.path, deciding }
    }
}

fn start(register: NftRegister) -> usize {
    usize::from(register.0) * 4
}

fn sets(elements: &[(NftSet, NftElement)]) -> BTreeMap<&str, BTreeSet<Vec<u8>>> {
    let mut sets: BTreeMap<&str, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for (set, element) in elements {
        let key = element.key.iter().flat_map(bytes).collect();
        sets.entry(&set.name).or_default().insert(key);
    }
    sets
}

/// A part of a key as the kernel has it, filled up to a whole register.
fn bytes(value: &NftValue) -> Vec<u8> {
    match value {
        NftValue::IfName(value) => name(value).to_vec(),
        NftValue::EtherAddr(octets) => whole(octets),
        NftValue::Ipv4Addr(address) => address.octets().to_vec(),
        NftValue::Ipv6Addr(address) => address.octets().to_vec(),
        NftValue::Mark(mark) => mark.to_ne_bytes().to_vec(),
        NftValue::Other(bytes) => whole(bytes),
    }
}

fn whole(bytes: &[u8]) -> Vec<u8> {
    let mut whole = bytes.to_vec();
    whole.resize(bytes.len().next_multiple_of(4), 0);
    whole
}

fn name(name: &IfName) -> [u8; 16] {
    padded(name.as_str().as_bytes())
}

fn padded(bytes: &[u8]) -> [u8; 16] {
    let mut whole = [0; 16];
    whole.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    whole
}
