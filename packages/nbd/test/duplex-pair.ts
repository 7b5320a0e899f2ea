/** Two streams joined in memory, whose packets are cut wherever a test wants. */
import { Duplex } from 'node:stream'

/**
 * A pair of streams: what is written to one is read from the other, in pieces of the sizes that `nextSize` gives.
 */
export const duplexPair = (nextSize: () => number = () => Infinity): [Duplex, Duplex] => {
  const pair: Duplex[] = []
  const make = (peerIndex: number): Duplex =>
    new Duplex({
      allowHalfOpen: true,
      read() {},
      write(chunk: Buffer, _encoding, done) {
        const peer = pair[peerIndex] as Duplex
        for (let at = 0; at < chunk.length;) {
          const size = Math.max(1, Math.min(nextSize(), chunk.length - at))
          // A copy, as a socket makes: the writer may use its bytes again at once.
          if (!peer.destroyed) peer.push(Buffer.from(chunk.subarray(at, at + size)))
          at += size
        }
        setImmediate(done)
      },
      final(done) {
        const peer = pair[peerIndex] as Duplex
        if (!peer.destroyed) peer.push(null)
        done()
      },
      destroy(error, done) {
        const peer = pair[peerIndex]
        if (peer !== undefined && !peer.destroyed) setImmediate(() => peer.destroy())
        done(error)
      },
    })
  pair.push(make(1), make(0))
  return pair as [Duplex, Duplex]
}
