/** Bytes that compress like those of disks do: repeats near and far, runs, text, noise. */
import type { Bytes } from '@granary/core'
import { seededBytes, seededRandom } from '@granary/testing'

/** `length` bytes, the same for the same seed. */
export const sampleBytes = (length: number, seed: number): Bytes => {
  const random = seededRandom(seed)
  const bytes = new Uint8Array(length)
  const noise = seededBytes(4096, seed)
  for (let at = 0; at < length;) {
    const size = Math.min(1 + random(random(10) === 0 ? 5000 : 60), length - at)
    const kind = random(4)
    if (kind === 0) bytes.fill(random(256), at, at + size)
    else if (kind === 1 && at > 0) {
      const back = 1 + random(Math.min(at, random(2) === 0 ? 70_000 : 20))
      for (let i = at; i < at + size; i++) bytes[i] = bytes[i - back] as number
    } else {
      const from = random(4096)
      bytes.set(noise.subarray(from, from + Math.min(size, 4096 - from)), at)
    }
    at += size
  }
  return bytes
}

/** A copy of `bytes` with a few bytes set, put in or taken out. */
export const mutate = (bytes: Bytes, random: (below: number) => number): Bytes => {
  const list = [...bytes]
  for (let times = 1 + random(3); times > 0; times--) {
    const at = random(list.length)
    const kind = random(4)
    if (kind === 0) list.splice(at, 1 + random(8))
    else if (kind === 1) list.splice(at, 0, random(256))
    else if (kind === 2) list[at] = random(2) === 0 ? 255 : 0
    else list[at] = random(256)
  }
  return Uint8Array.from(list)
}
