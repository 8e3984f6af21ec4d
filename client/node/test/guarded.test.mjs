// Objects under a lock, with a lock of the test's own: what is guarded, what is not, and what is refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { guarded, GobError } from "gob-client";

/** A lock that notes what becomes of it. */
function lock({ release = async () => true } = {}) {
  const made = { log: [], isHeld: false };
  made.acquire = async () => {
    assert.equal(made.isHeld, false);
    made.isHeld = true;
    made.log.push("acquire");
  };
  made.release = async () => {
    made.isHeld = false;
    made.log.push("release");
    return release();
  };
  return made;
}

class Store {
  #secret = 1;
  n = 0;
  get secret() {
    return this.#secret;
  }
  set secret(value) {
    this.#secret = value;
  }
  add(by) {
    return (this.#secret += by);
  }
  async twice() {
    return this.add(1) + this.add(1);
  }
  fail() {
    throw new Error("mine");
  }
}

test("methods hold the lock, private fields and accessors work, the rest is as it is", async () => {
  const [object, held] = [new Store(), lock()];
  const store = guarded(object, held);
  assert.deepEqual([await store.add(2), store.secret, await store.twice()], [3, 3, 9]);
  store.secret = 7;
  store.n = 5;
  delete store.none;
  assert.deepEqual([object.secret, object.n, Object.keys(store), "add" in store, store instanceof Store], [7, 5, ["n"], true, true]);
  assert.deepEqual([store.hasOwnProperty("n"), store.hasOwnProperty("add"), `${store}`, JSON.stringify(store)], [true, false, "[object Object]", '{"n":5}']);
  assert.equal(store.add, store.add);
  assert.deepEqual(held.log, ["acquire", "release", "acquire", "release"]);
});

test("a frozen object is guarded, too", async () => {
  const held = lock();
  const store = guarded(Object.freeze({ answer: () => 42, n: 1 }), held);
  assert.deepEqual([await store.answer(), store.n, held.log], [42, 1, ["acquire", "release"]]);
});

test("the error of the method is told, also where the lock can't be given back", async () => {
  const held = lock({ release: () => Promise.reject(new Error("the disk is full")) });
  const store = guarded(new Store(), held);
  await assert.rejects(store.fail(), { message: "mine" });
  await assert.rejects(store.add(1), { message: "the disk is full" });
});

test("a method that waits for a call of its own object is refused, and nothing hangs", { timeout: 20_000 }, async () => {
  const held = lock();
  let later;
  const store = guarded(
    {
      outer: () => store.inner(),
      inner: () => "inner",
      plan() {
        later = pause(20).then(() => store.inner());
      },
    },
    held,
  );
  await assert.rejects(store.outer(), (error) => GobError.is(error) && error.code === "lock-deadlock");
  // What a method began and did not wait for is a caller like others, once the method is over.
  await store.plan();
  assert.equal(await later, "inner");
  assert.equal(await store.inner(), "inner");
});

test("only objects are guarded, and only by locks", () => {
  for (const wrong of [() => guarded(5, lock()), () => guarded(null, lock()), () => guarded({}, {}), () => guarded({}, undefined)]) {
    assert.throws(wrong, (error) => GobError.is(error) && error.code === "usage");
  }
});
