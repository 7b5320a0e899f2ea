/** Time as the simulator sees it: virtual in tests, real (or faster) when it runs as a program. @module */

/** A request being answered. Virtual time stands still while one is open, except inside its own `sleep`. */
export interface Hold extends Disposable {
  /**
   * Waits on the clock without stopping it: for an answer that is slow on purpose.
   *
   * @throws the signal's reason when it is aborted
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** What of a clock the engine and imageio use. Its first two members are what clients wait with. */
export interface SimulatorClock extends AsyncDisposable {
  /** Milliseconds since 1970. */
  now(): number
  /**
   * Resolves once that much time has passed.
   *
   * @throws the signal's reason when it is aborted
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /**
   * Runs `task` once in `ms`: ticks, expiries. It never makes time pass, and time stands still until its promise is
   * settled, except while it waits by the hold that it is given.
   *
   * @returns a function that calls it off
   */
  schedule(ms: number, task: (hold: Hold) => unknown): () => void
  /** Taken while a request is answered. */
  hold(): Hold
}
