/** How fast things are, in CPU time, so that a busy machine counts for little. @module */

/** CPU time of one turn of a candidate. */
const TURN_SECONDS = 0.04

/** V8 compiles a kernel for speed once it has run for a while: data to run over first, bytes. */
const WARM_UP_BYTES = 12 * 2 ** 20

/** Something to measure, and how many bytes it does. */
export interface Candidate {
  readonly bytes: number
  readonly run: () => void
}

/**
 * MB (10^6 bytes) per CPU second of each candidate, who take turns for `seconds` in all: the median of its turns. The best
 * turn would be 2 to 8 % higher for what computes, and says nothing for what waits for memory.
 */
export const race = (candidates: readonly Candidate[], seconds: number): number[] => {
  for (const { bytes, run } of candidates) for (let done = 0; done < WARM_UP_BYTES; done += bytes) run()
  const turns = candidates.map((): number[] => [])
  for (const start = cpuSeconds(); cpuSeconds() - start < seconds;)
    for (const [i, candidate] of candidates.entries()) turns[i]?.push(takeTurn(candidate))
  return turns.map(median)
}

const takeTurn = ({ bytes, run }: Candidate): number => {
  const start = cpuSeconds()
  let done = 0
  let spent = 0
  do {
    run()
    done += bytes
    spent = cpuSeconds() - start
  } while (spent < TURN_SECONDS)
  return done / 1e6 / spent
}

/** Of an even number the mean of the two in the middle. */
export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
