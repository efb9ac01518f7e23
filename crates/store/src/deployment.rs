//! What is fixed at first start, and compared ever after: the layout, the count of partitions, and
//! which servers there are if a map shares them out.

use redis::Value;

use crate::error::{Error, Result};
use crate::keys::DEPLOYMENT;
use crate::router::Router;
use crate::store::Store;
use crate::topology::{Address, Shape};
use crate::value::{self, Fields};

/// Version of the layout of keys. Another one refuses to start.
const LAYOUT: &str = "1";

fn refused(problem: String) -> Error {
    Error::Refused {
        command: "start",
        problem,
    }
}

/// Fixes at first start what was not fixed yet; ever after, finds it and compares. That writes
/// nothing, so that whoever empties a full server can start. Says the count of partitions.
pub(crate) async fn settle(link: &Router, wanted: u16) -> Result<u16> {
    match &link.placement().topology.shape {
        Shape::Map(addresses) => share_out(link, addresses).await?,
        _ => stand_alone(link).await?,
    }
    count(link, wanted).await
}

async fn count(link: &Router, wanted: u16) -> Result<u16> {
    let mut read = redis::cmd("HMGET");
    read.arg(DEPLOYMENT).arg("partitions").arg("layout");
    let mut stored = Fields::of("deployment", link.query("deployment", &read).await?)?;
    let (mut partitions, mut layout) = (stored.value()?, stored.value()?);
    if [&partitions, &layout].contains(&&Value::Nil) {
        let mut write = redis::pipe();
        for (field, value) in [
            ("partitions", wanted.to_string().as_str()),
            ("layout", LAYOUT),
        ] {
            write.cmd("HSETNX").arg(DEPLOYMENT).arg(field).arg(value);
        }
        link.pipeline("deployment", &write).await?;
        let mut stored = Fields::of("deployment", link.query("deployment", &read).await?)?;
        (partitions, layout) = (stored.value()?, stored.value()?);
    }
    let partitions = value::number("deployment", &partitions)?;
    let layout = value::text("deployment", layout)?;
    if layout != LAYOUT {
        return Err(refused(format!(
            "this Redis holds a deployment of layout {layout}, this program writes {LAYOUT}"
        )));
    }
    if partitions != u64::from(wanted) {
        return Err(refused(format!(
            "this Redis holds a deployment of {partitions} partitions, redis.partitions is {wanted}; \
             the count is fixed at first start: set redis.partitions = {partitions}"
        )));
    }
    Ok(wanted)
}

impl Store {
    /// Fixes at first start which archive belongs to what is kept here, by its random word; ever
    /// after, compares. Redis would otherwise let go of what another archive has, and take its ids
    /// for new ones.
    ///
    /// # Errors
    /// `Refused` with what to do if it is another one.
    pub async fn belong_to_archive(&self, word: &str) -> Result<()> {
        let mut read = redis::cmd("HGET");
        read.arg(DEPLOYMENT).arg("archive");
        let mut stored = self.link.query("deployment", &read).await?;
        if stored == Value::Nil {
            let mut write = redis::cmd("HSETNX");
            write.arg(DEPLOYMENT).arg("archive").arg(word);
            match self.link.query("deployment", &write).await {
                // Whoever empties a full server must be able to start.
                Err(Error::Full(_)) => return Ok(()),
                written => written?,
            };
            stored = self.link.query("deployment", &read).await?;
        }
        let stored = value::text("deployment", stored)?;
        if stored == word {
            return Ok(());
        }
        Err(refused(format!(
            "this Redis belongs to archive {stored}, and archive.url leads to archive {word}: give \
             all processes the same --archive (a file on one host is not that of another); if it is \
             to replace the other for good, run `redis-cli hset {DEPLOYMENT} archive {word}`"
        )))
    }
}

/// One server of several must not be taken for the whole.
async fn stand_alone(link: &Router) -> Result<()> {
    let mut read = redis::cmd("HGET");
    read.arg(DEPLOYMENT).arg("servers");
    match value::optional(link.query("deployment", &read).await?) {
        None => Ok(()),
        Some(servers) => Err(refused(format!(
            "this Redis is one of several servers that share a deployment: set redis.url = redis://{}",
            value::text("deployment", servers)?
        ))),
    }
}

/// Compares the list of servers with what each of them knows, home first. A server that does not
/// answer is believed to be what it was, once home knows the list.
async fn share_out(link: &Router, addresses: &[Address]) -> Result<()> {
    let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let list = shown.join(",");
    let mut is_new = false;
    for (place, address) in addresses.iter().enumerate() {
        match join(link, address, place, &list).await {
            Ok(joined) if place == 0 => is_new = joined,
            Ok(_) => {}
            Err(Error::Unavailable(problem)) if place > 0 && !is_new => {
                tracing::warn!(%address, problem, "starting without a Redis server");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes a server one of the list, or sees that it is the one of the list that it should be. Says
/// whether it was new.
async fn join(link: &Router, address: &Address, place: usize, list: &str) -> Result<bool> {
    let mut read = redis::cmd("HMGET");
    read.arg(DEPLOYMENT)
        .arg(&["servers", "place", "partitions"]);
    let stored = || async {
        let answer = link.query_at(address, "deployment", &read).await?;
        let mut fields = Fields::of("deployment", answer)?;
        Ok::<_, Error>((fields.value()?, fields.value()?, fields.value()?))
    };
    let (mut servers, mut own, partitions) = stored().await?;
    let is_new = servers == Value::Nil;
    if is_new && partitions != Value::Nil {
        return Err(refused(format!(
            "{address} holds a deployment of its own: set redis.url = redis://{address}, or empty it"
        )));
    }
    if is_new {
        for (field, value) in [("place", place.to_string().as_str()), ("servers", list)] {
            let mut write = redis::cmd("HSETNX");
            write.arg(DEPLOYMENT).arg(field).arg(value);
            link.query_at(address, "deployment", &write).await?;
        }
        (servers, own, _) = stored().await?;
    }
    let servers = value::text("deployment", servers)?;
    if servers != list {
        return Err(refused(format!(
            "{address} shares a deployment with other servers than redis.url names, or in another \
             order, which is fixed at first start: set redis.url = redis://{servers} (if a server \
             has only another address now: run `redis-cli hset {DEPLOYMENT} servers {list}` on each)"
        )));
    }
    if value::number("deployment", &own)? != place as u64 {
        return Err(refused(format!(
            "{address} is not the server that it was: what it holds belongs to another place of the list"
        )));
    }
    Ok(is_new)
}
