//! Finds graphs on disk and deletes one, beside the loop: each root by itself, so that one that does
//! not answer hides no other.

use super::{Done, Shell};
use crate::disks::{Disks, Silent};
use crate::graphs::{self, MAX_GRAPHS};
use gob_core::{DeletePlan, FindGraphs, GraphSearch, Input, NotDeleted, OnDisk};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, spawn_local};

/// One deletion at a time: a large one occupies a thread for long.
const DELETING: &str = "delete a graph";

impl Shell {
    /// Finds the graphs of all roots; the core receives them.
    pub(super) fn find_graphs(&self, FindGraphs { search, data_dir, roots }: FindGraphs) {
        let (disks, to_loop) = (self.disks.clone(), self.done.clone());
        let measures = search.delete.is_none();
        spawn_local(async move {
            let known = said(find(disks.clone(), data_dir.clone(), true, measures).await);
            let elsewhere = known.iter().map(|graph| graph.root_dir.clone());
            let mut others: BTreeSet<String> = roots.into_iter().chain(elsewhere).collect();
            others.remove(&data_dir);
            let mut asked = JoinSet::new();
            for root in others {
                asked.spawn_local(find(disks.clone(), root, false, measures));
            }
            let mut found = known;
            while let Some(more) = asked.join_next().await {
                // A panic is reported by its hook.
                found.extend(more.map(said).unwrap_or_default());
            }
            let key = |graph: &OnDisk| (graph.graph.as_str().to_owned(), graph.root_dir.clone());
            // The roots' own lists come after the others.
            let all: BTreeMap<_, OnDisk> = found.into_iter().map(|graph| (key(&graph), graph)).collect();
            let found = all.into_values().take(MAX_GRAPHS).collect();
            let input = Input::GraphsFound { search, found };
            to_loop.send(Done::Input(Box::new(input))).await;
        });
    }

    /// Deletes a graph; the core receives the result, after any time.
    pub(super) fn delete_graph(&self, search: GraphSearch, plan: Box<DeletePlan>) {
        let (done, result) = oneshot::channel();
        let to_loop = self.done.clone();
        let (wanted, claims) = (plan.clone(), self.claims.clone());
        self.disks.begin(DELETING, vec![plan.lock.path.clone()], move |at| {
            at.go("delete", &wanted.path);
            // Without a loop the result is dropped.
            done.send(graphs::delete(&wanted, &claims)).unwrap_or_default();
        });
        spawn_local(async move {
            let lost = || Err(NotDeleted::Failed("see gobctl daemon logs".to_owned()));
            let result = result.await.unwrap_or_else(|_| lost());
            let input = Input::GraphDeleted { search, plan, result };
            to_loop.send(Done::Input(Box::new(input))).await;
        });
    }
}

async fn find(disks: Disks, root: String, is_data_dir: bool, measures: bool) -> Result<Vec<OnDisk>, Silent> {
    let lane = format!("graphs of {root}");
    let places = vec![root.clone()];
    disks
        .ask(&lane, places, move |at| {
            at.go("look for graphs in", &root);
            let mut found = graphs::find(&root, is_data_dir);
            if measures {
                graphs::measure(found.iter_mut().filter(|graph| graph.root_dir == root));
            }
            found
        })
        .await
}

fn said(found: Result<Vec<OnDisk>, Silent>) -> Vec<OnDisk> {
    found.unwrap_or_else(|silent| {
        tracing::warn!(%silent, "cannot look for graphs");
        Vec::new()
    })
}
