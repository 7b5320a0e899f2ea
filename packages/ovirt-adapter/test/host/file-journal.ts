/** Intents in a file, one JSON line for each event: what a killed process leaves for the next. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import type { HostIntent, HostJournal } from '../../src/index.ts'

interface Line {
  readonly number: number
  readonly intent?: HostIntent
}

const settleIn = (path: string, number: number) => (): void => appendFileSync(path, `${JSON.stringify({ number })}\n`)

export const fileJournal = (path: string): HostJournal => {
  let number = 0
  return {
    async intend(intent) {
      const mine = ++number
      appendFileSync(path, `${JSON.stringify({ number: mine, intent })}\n`)
      return async () => settleIn(path, mine)()
    },
  }
}

/** What was intended and not settled, the last first. */
export const unsettled = (path: string): { readonly intent: HostIntent; readonly settle: () => void }[] => {
  const open = new Map<number, HostIntent>()
  if (!existsSync(path)) return []
  for (const line of readFileSync(path, 'utf8')
    .split('\n')
    .filter(text => text !== '')) {
    const { number, intent } = JSON.parse(line) as Line
    if (intent === undefined) open.delete(number)
    else open.set(number, intent)
  }
  return [...open].map(([number, intent]) => ({ intent, settle: settleIn(path, number) })).reverse()
}
