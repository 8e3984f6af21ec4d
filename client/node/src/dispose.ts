/// <reference lib="esnext.disposable" preserve="true" />
/** The method that `await using` calls. Node before 18.18 has no symbol for it, and no way to call it either. */
export const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose");
