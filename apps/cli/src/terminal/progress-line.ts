/** The progress line: one line on standard error, redrawn; rate, savings, time left, and what limits it. @module */
import { formatBytes, formatDuration, formatRate, rateMeter } from '@granary/core'
import type { Terminal } from './terminal.ts'

/** What the line shows; counts are bytes since the start. */
export interface ProgressState {
  readonly what: string
  readonly doneBytes: number
  readonly totalBytes?: number | undefined
  readonly newBytes?: number
  readonly storedBytes?: number
  readonly limitedBy?: string | undefined
}

export interface ProgressLine {
  show(state: ProgressState): void
  /** Takes the line away. */
  end(): void
}

const REDRAW_MS = 100

/** A line on a terminal; elsewhere nothing. With `--json`, programs get events at most once a second. */
export const startProgress = (terminal: Terminal): ProgressLine => {
  const { stderr } = terminal.streams
  const startMs = performance.now()
  const meter = rateMeter()
  let lastMs = -Infinity
  let isShown = false
  return {
    show(state) {
      const nowMs = performance.now()
      meter.update(state.doneBytes)
      if (nowMs - lastMs < (terminal.isJson ? 1000 : REDRAW_MS)) return
      lastMs = nowMs
      if (terminal.isJson) emitEvent(terminal, state, meter.bytesPerSecond())
      if (!terminal.showsProgress) return
      const seconds = (nowMs - startMs) / 1000
      const text = describe(state, {
        seconds,
        rate: meter.bytesPerSecond(),
        left: state.totalBytes === undefined ? undefined : meter.secondsLeft(state.totalBytes),
      })
      stderr.write(`\r\u001b[K${text.slice(0, (stderr.columns ?? 120) - 1)}`)
      isShown = true
    },
    end() {
      if (isShown) stderr.write('\r\u001b[K')
      isShown = false
    },
  }
}

const emitEvent = (terminal: Terminal, { what, ...counts }: ProgressState, rate: number | undefined): void => {
  const event = {
    type: 'progress',
    v: 1,
    what,
    ...counts,
    ...(rate === undefined ? {} : { bytesPerSecond: Math.round(rate) }),
  }
  terminal.streams.stderr.write(`${JSON.stringify(event)}\n`)
}

const describe = (
  { what, doneBytes, totalBytes, newBytes, storedBytes, limitedBy }: ProgressState,
  { seconds, rate, left }: { seconds: number; rate: number | undefined; left: number | undefined },
): string => {
  const parts = [`[${formatDuration(seconds)}] ${what}`]
  if (totalBytes !== undefined && totalBytes > 0) parts.push(`${Math.floor((doneBytes / totalBytes) * 100)} %`)
  parts.push(`${formatBytes(doneBytes)}${rate === undefined ? '' : ` at ${formatRate(rate)}`}`)
  const counts = []
  if (left !== undefined) counts.push(`ETA ${formatDuration(left)}`)
  if (limitedBy !== undefined) counts.push(`limited by ${limitedBy}`)
  if (storedBytes !== undefined)
    counts.push(
      `stored ${formatBytes(storedBytes)}${storedBytes > 0 ? ` (x${(doneBytes / storedBytes).toFixed(1)})` : ''}`,
    )
  if (newBytes !== undefined) counts.push(`new ${formatBytes(newBytes)}`)
  return [parts.join('  '), ...counts].join(' · ')
}
