//! Whether the host's gateways are there, as the kernel finds by ARP and neighbour discovery.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Error;
use crate::observe::Facts;
use crate::plan::Gateway;
use crate::types::Reachability;

/// A gateway that is there answers at once; the kernel itself asks three times, a second apart.
const BEFORE: Duration = Duration::from_secs(3);
/// How often the kernel is asked what it has heard.
const INTERVAL: Duration = Duration::from_millis(20);

/// Those of the gateways that answer now: only they can be found missing later.
pub(super) fn answering(facts: &mut Facts<'_>, patience: Duration) -> Result<Vec<Gateway>, Error> {
    let all = gateways(facts)?;
    let silent = silent(facts, all.clone(), patience.min(BEFORE))?;
    Ok(all.into_iter().filter(|gateway| !silent.contains(gateway)).collect())
}

/// Has the gateways that answered before answer again, wherever their routes lead now.
pub(super) fn still_answer(
    facts: &mut Facts<'_>,
    before: &[Gateway],
    patience: Duration,
) -> Result<(), Error> {
    let mut now = gateways(facts)?;
    now.retain(|gateway| before.iter().any(|other| other.address == gateway.address));
    match silent(facts, now, patience)?.into_iter().next() {
        None => Ok(()),
        Some(Gateway { address: gateway, link, .. }) => {
            Err(Error::Silent { gateway, link: link.name, waited: patience })
        }
    }
}

fn gateways(facts: &mut Facts<'_>) -> Result<Vec<Gateway>, Error> {
    Ok(facts.network(None)?.gateways())
}

/// Asks gateways until they answer; those that did not in all this time. One whose Ethernet address an administrator
/// entered is not asked, before or after, and so counts as silent at first only.
fn silent(
    facts: &mut Facts<'_>,
    gateways: Vec<Gateway>,
    patience: Duration,
) -> Result<Vec<Gateway>, Error> {
    let deadline = Instant::now() + patience;
    let kernel = facts.connections.kernel()?;
    let mut waiting = Vec::new();
    for gateway in gateways {
        if kernel.reachability(&gateway.link, gateway.address)? != Reachability::Entered {
            kernel.neighbour_ask(&gateway.link, gateway.address)?;
            waiting.push(gateway);
        }
    }
    loop {
        let mut silent = Vec::new();
        for gateway in waiting {
            match kernel.reachability(&gateway.link, gateway.address)? {
                Reachability::Reachable | Reachability::Entered => continue,
                // A switch may take a while until it forwards from a port.
                Reachability::Failed => kernel.neighbour_ask(&gateway.link, gateway.address)?,
                Reachability::Unknown => {}
            }
            silent.push(gateway);
        }
        waiting = silent;
        if waiting.is_empty() || Instant::now() >= deadline {
            return Ok(waiting);
        }
        sleep(INTERVAL);
    }
}
