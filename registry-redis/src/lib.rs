//! A descriptor cache in Redis, for all replicas of a registry: a single node, the master that sentinels name,
//! or a cluster.
//!
//! [`RedisCache`] implements [`DescriptorCache`](registry_core::DescriptorCache). The protocol, authentication
//! and parsing are those of the crate `redis`; connections, pools and routing are here, because
//! [`RedisOptions`] has a knob for each of their details.
//!
//! ```no_run
//! # async fn example() -> Result<(), registry_redis::RedisConfigError> {
//! use registry_redis::{RedisCache, RedisOptions};
//!
//! let cache = RedisCache::connect(RedisOptions::new(["redis.example.com:6379"])).await?;
//! // Registry::builder(driver).descriptor_cache(Some(Arc::new(cache)))
//! # let _ = cache;
//! # Ok(())
//! # }
//! ```
//!
//! # Why it is never wrong
//!
//! What is remembered is that content is stored, with its size. That is true until the content is removed, and
//! only garbage collection removes content; `DELETE` of a blob removes a link, and links are asked of the
//! store for each request. So the only thing that can be wrong is an entry about content that was collected.
//! Three rules deal with it.
//!
//! **The cache never decides a write.** Whether a mount succeeds and whether a pushed manifest may refer to a
//! blob is asked of the store, always; `registry-storage` does that for every request that is no GET or HEAD.
//! The bytes of a GET come from the store as well, and a GET whose bytes are not there is a 404 that removes
//! the entry. What is left is the answer to a HEAD. If it is wrong, the client leaves an upload out and its
//! manifest is refused; the refusal removes the entry, and the client's second try uploads the blob.
//!
//! **A removal outlives what it removes.** An entry is one key, `registry:v1:content:<digest>`:
//!
//! | | command | |
//! |---|---|---|
//! | get | `GET` | |
//! | put | `SET … NX PXAT <now at the node + 5 min>` | never over a removal, never longer than 5 minutes after the store was asked |
//! | remove | `SET … removed PX <20 min>` | |
//!
//! Once a removal has been acknowledged no replica answers the entry: `GET` reads the same key at the same
//! node. Nor does the entry come back through a replica that had asked the store before the removal and
//! writes after it: for 20 minutes `NX` refuses it, and what is delayed for longer, on whichever queue, is
//! over when it arrives, because its end is a moment by the clock of the node and not a time from then on.
//! What has to hold is that less than 15 minutes pass between the answer of the store and the call of `put`.
//! Each command is one round trip about one key, so the same is true of every slot of a cluster. For the
//! same reason a get is never answered with the answer to an earlier one: it may be from before a removal.
//!
//! **Every entry ends.** A removal may not arrive: Redis cannot be reached from here; a master dies before
//! its replica has heard; a program that knows nothing of the cache collects garbage; replicas are read from
//! ([`Reads`]). Then HEAD is wrong for at most 5 minutes, on other replicas: this one remembers for as long
//! what it has removed, answers and writes none of it, and tells it again to every node that comes back, comes
//! anew, or takes over.
//!
//! # Next to Distribution
//!
//! Distribution keeps `blobs::<digest>` and `repository::<name>::blobs`. We do not read them, because what
//! they say never ends: they survive garbage collection and every race. We do not write them either, because
//! Distribution decides pushes and pulls by them. But we remove them, together with our own entry or when a
//! link is deleted, so that Distribution on the same Redis, now or after a way back, does not go on serving
//! what was deleted here. Where an access control list keeps us from those keys that is logged once, and
//! harmless unless there is such a Distribution.
//!
//! One Redis database serves one store. (Two stores in one would vouch for each other's content in HEAD where
//! a link leads to nothing.)
//!
//! # What a request waits
//!
//! An operation takes at most [`LEAST_WAIT`](RedisOptions::LEAST_WAIT), or the read timeout if that is
//! longer, up to [`LONGEST_WAIT`](RedisOptions::LONGEST_WAIT), with all its retries. A node that fails is not
//! asked again, by anybody, before it has been seen to take writes: a task looks after a second, then each
//! second. A node that fails again within half a minute rests longer, up to ten seconds. In a cluster that
//! concerns its keys alone. The change is one line of the log in each direction. No failure reaches a client.
//! When Redis loses everything, each request asks the store as it would without a cache; the number of
//! connections, and so of commands under way, is bounded.

mod cache;
mod command;
mod connect;
mod failure;
mod node;
mod options;
mod pool;
mod removals;
mod stream;
mod tls;
mod topology;

pub use cache::RedisCache;
pub use options::{Reads, RedisConfigError, RedisOptions, RedisTls, is_address};
