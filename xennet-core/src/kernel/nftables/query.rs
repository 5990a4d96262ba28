use std::collections::BTreeSet;
use std::time::Duration;

use netlink_packet_core::NLM_F_DUMP;

use super::chain::BaseChain;
use super::explain::NO_RIGHTS;
use super::message::{Messages, nf_tables};
use super::table::generation;
use super::{Nftables, chain, element, rule, set, table};
use crate::kernel::answer::malformed;
use crate::kernel::attributes::{be32, find};
use crate::kernel::error::{Error, ErrorKind};
use crate::kernel::request::READ_ATTEMPTS;
use crate::types::{NftChain, NftElement, NftFamily, NftKey, NftRule, NftSet, NftTable};

impl Nftables {
    /// The number that the ruleset of this network namespace has until the next batch changes it, whoever's that is.
    pub fn generation(&mut self) -> Result<u32, Error> {
        let mut question = Messages::default();
        question.begin_any(NFT_MSG_GETGEN, 0);
        let decode = |body: &[u8]| find(body.get(4..)?, NFTA_GEN_ID).and_then(be32);
        self.ask(question, NFT_MSG_NEWGEN, decode)
            .map_err(|error| error.explain(libc::EINVAL, NO_NFTABLES).doing("nft generation"))
    }

    /// The [generation](Self::generation), and the [tables](Self::table) of this name of some families, asked for in one
    /// go: what they say is not older.
    pub(crate) fn generation_and_tables(
        &mut self,
        families: &[NftFamily],
        name: &str,
    ) -> Result<(u32, Vec<NftTable>), Error> {
        let (generation, tables, _) = self.overview(families, name, false)?;
        Ok((generation, tables))
    }

    /// The same, and the [base chains](Self::base_chains), in the same go.
    pub(crate) fn generation_tables_and_base_chains(
        &mut self,
        families: &[NftFamily],
        name: &str,
    ) -> Result<(u32, Vec<NftTable>, Vec<BaseChain>), Error> {
        self.overview(families, name, true)
    }

    fn overview(
        &mut self,
        families: &[NftFamily],
        name: &str,
        with_chains: bool,
    ) -> Result<(u32, Vec<NftTable>, Vec<BaseChain>), Error> {
        enum Seen {
            Generation(u32),
            Table(NftTable),
            Chain(BaseChain),
        }
        let mut questions = Messages::default();
        questions.begin_any(NFT_MSG_GETGEN, 0);
        for family in families {
            table::get(&mut questions, *family, name);
        }
        if with_chains {
            questions.begin_any(chain::NFT_MSG_GETCHAIN, NLM_F_DUMP);
        }
        let decode = |_, kind, body: &[u8]| match kind {
            NFT_MSG_NEWGEN => {
                find(body.get(4..)?, NFTA_GEN_ID).and_then(be32).map(Seen::Generation)
            }
            table::NFT_MSG_NEWTABLE => table::decode(body).map(Seen::Table),
            chain::NFT_MSG_NEWCHAIN => chain::decode_base(body).map(Seen::Chain),
            _ => None,
        };
        let (answers, chains) = self.ask_several(questions, decode).map_err(|error| {
            error.explain(libc::EINVAL, NO_NFTABLES).doing(format!("nft list tables {name}"))
        })?;
        let (mut generation, mut tables, mut base_chains) = (None, Vec::new(), Vec::new());
        for seen in answers.into_iter().flatten().chain(chains) {
            match seen {
                Seen::Generation(number) => generation = Some(number),
                Seen::Table(table) => tables.push(table),
                Seen::Chain(chain) => base_chains.push(chain),
            }
        }
        Ok((generation.ok_or_else(malformed)?, tables, base_chains))
    }

    /// A table; none if there is no such. `nft list table FAMILY NAME`
    pub fn table(&mut self, family: NftFamily, name: &str) -> Result<Option<NftTable>, Error> {
        let mut question = Messages::default();
        table::get(&mut question, family, name);
        let found = self.ask(question, table::NFT_MSG_NEWTABLE, table::decode).map(Some);
        none_if_missing(found)
            .map_err(|error| error.doing(format!("nft list table {family} {name}")))
    }

    /// The sets of a table; none if there is no such table. `nft list sets table FAMILY NAME`
    pub fn sets(&mut self, family: NftFamily, table: &str) -> Result<Vec<NftSet>, Error> {
        let mut question = Messages::default();
        set::get(&mut question, NLM_F_DUMP, family, table);
        let found = self.dump(question, set::NFT_MSG_NEWSET, set::decode);
        none_if_missing(found)
            .map_err(|error| error.doing(format!("nft list sets table {family} {table}")))
    }

    /// The chains of a table; none if there is no such table. `nft list chains FAMILY`
    pub fn chains(&mut self, family: NftFamily, table: &str) -> Result<Vec<NftChain>, Error> {
        let mut question = Messages::default();
        question.begin(chain::NFT_MSG_GETCHAIN, NLM_F_DUMP, family);
        // The kernel can be asked for a family's chains, and not for a table's.
        let decode = |body: &[u8]| {
            chain::decode(body).filter(|(_, of, _)| of == table).map(|(_, _, chain)| chain)
        };
        self.dump(question, chain::NFT_MSG_NEWCHAIN, decode)
            .map_err(|error| error.doing(format!("nft list chains {family}")))
    }

    /// The chains of all families and tables that packets enter by themselves, each with its table. `nft list chains`
    pub fn base_chains(&mut self) -> Result<Vec<(NftFamily, String, NftChain)>, Error> {
        let mut question = Messages::default();
        question.begin_any(chain::NFT_MSG_GETCHAIN, NLM_F_DUMP);
        self.dump(question, chain::NFT_MSG_NEWCHAIN, chain::decode_base)
            .map_err(|error| error.doing("nft list chains"))
    }

    /// The rules of a table, those of each chain in their order, with what they have counted; none if there is no such
    /// table. `nft list table FAMILY NAME`
    pub fn rules(&mut self, family: NftFamily, table: &str) -> Result<Vec<NftRule>, Error> {
        let mut question = Messages::default();
        rule::get(&mut question, NLM_F_DUMP, family, table);
        let found = self.dump(question, rule::NFT_MSG_NEWRULE, rule::decode);
        none_if_missing(found)
            .map_err(|error| error.doing(format!("nft list table {family} {table}")))
    }

    /// The rules of a chain. `nft list chain FAMILY TABLE CHAIN`
    pub(crate) fn rules_of_chain(
        &mut self,
        family: NftFamily,
        table: &str,
        chain: &str,
    ) -> Result<Vec<NftRule>, Error> {
        let mut question = Messages::default();
        rule::get_of_chain(&mut question, family, table, chain);
        let decode = |body: &[u8]| rule::decode(body).filter(|rule| rule.chain == chain);
        let found = self.dump(question, rule::NFT_MSG_NEWRULE, decode);
        none_if_missing(found)
            .map_err(|error| error.doing(format!("nft list chain {family} {table} {chain}")))
    }

    /// The elements of a set, with what they have counted; none if there is no such set. `nft list set FAMILY TABLE SET`
    pub fn elements(
        &mut self,
        family: NftFamily,
        table: &str,
        set: &NftSet,
    ) -> Result<Vec<NftElement>, Error> {
        let doing =
            |error: Error| error.doing(format!("nft list set {family} {table} {}", set.name));
        for attempt in 0..READ_ATTEMPTS {
            let mut question = Messages::default();
            let kind = (element::NFT_MSG_GETSETELEM, NLM_F_DUMP);
            element::all(&mut question, kind, family, table, set);
            // The kernel does not say of itself that elements changed while they were read. Each piece of the answer
            // bears the ruleset's generation, though.
            let decode = |body: &[u8]| Some((generation(body)?, element::decode(body, set)?));
            let found = self.dump(question, element::NFT_MSG_NEWSETELEM, decode);
            let pieces = none_if_missing(found).map_err(doing)?;
            let generation = pieces.first().map(|(generation, _)| *generation);
            let same = pieces.iter().all(|(of, _)| Some(*of) == generation);
            let elements: Vec<_> = pieces.into_iter().flat_map(|(_, elements)| elements).collect();
            if same && !is_torn(set, &elements) {
                return Ok(elements);
            }
            // A table of 10,000 new elements grows for some ten milliseconds.
            std::thread::sleep(Duration::from_millis(attempt.into()));
        }
        Err(doing(Error::of(ErrorKind::Changing, "the set changed while it was read")))
    }

    fn ask<T>(
        &mut self,
        question: Messages,
        answer: u16,
        decode: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<T, Error> {
        let found = self.connection.ask(question.into_bytes()?, nf_tables(answer), decode);
        found.map_err(|error| error.explain(libc::EPERM, NO_RIGHTS))
    }

    pub(super) fn dump<T>(
        &mut self,
        question: Messages,
        answer: u16,
        decode: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let found = self.connection.dump(question.into_bytes()?, nf_tables(answer), decode);
        found.map_err(|error| error.explain(libc::EPERM, NO_RIGHTS))
    }
}

/// Whether some element is there twice, as happens while the kernel gives a set a larger table: it counts how many it
/// has listed, in an order that changes meanwhile, and for each that it lists again it leaves another one out.
fn is_torn(set: &NftSet, elements: &[NftElement]) -> bool {
    // An interval that begins where another ends has its key.
    let is_plain = !set.key.iter().any(|part| matches!(part, NftKey::Other { .. }));
    let mut seen = BTreeSet::new();
    is_plain && !elements.iter().all(|element| seen.insert(&element.key))
}

/// That there is no such table or set is an answer.
pub(super) fn none_if_missing<T: Default>(found: Result<T, Error>) -> Result<T, Error> {
    match found {
        Err(error) if error.kind() == ErrorKind::Refused && error.errno() == libc::ENOENT => {
            Ok(T::default())
        }
        outcome => outcome,
    }
}

const NO_NFTABLES: &str = "this kernel has no nftables (CONFIG_NF_TABLES)";

const NFT_MSG_NEWGEN: u16 = 15;
const NFT_MSG_GETGEN: u16 = 16;
const NFTA_GEN_ID: u16 = 1;
