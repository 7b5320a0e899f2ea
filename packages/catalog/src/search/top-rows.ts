/** The first rows of an order, out of any number of rows, in bounded memory. @module */

/** Where a row is: which tree, which of its pages, which row of that. Its order never depends on how the index was made. */
export interface RowPlace {
  /** Rank of the tree among those searched. */
  readonly tree: number
  readonly position: number
  readonly row: number
}

export type SortValue = number | string

export interface RankedRow extends RowPlace {
  readonly value: SortValue
  /** Page in the index. */
  readonly page: number
}

/** Rows gathered before all but the first are let go: this many times the limit, and some. */
const SLACK = 2
const SLACK_ROWS = 4096

/** Keeps the first `limit` rows of those that are offered and come behind `after`. */
export class TopRows {
  readonly #limit: number
  readonly #compare: (a: Omit<RankedRow, 'page'>, b: Omit<RankedRow, 'page'>) => number
  readonly #sign: 1 | -1
  readonly #after: Omit<RankedRow, 'page'> | undefined
  #rows: RankedRow[] = []
  #last: RankedRow | undefined

  /** @param sign 1: the smallest first, -1: the largest first */
  constructor(limit: number, sign: 1 | -1, after?: Omit<RankedRow, 'page'>) {
    this.#limit = limit
    this.#sign = sign
    this.#after = after
    this.#compare = (a, b) =>
      sign * (order(a.value, b.value) || a.tree - b.tree || a.position - b.position || a.row - b.row)
  }

  /** The row that is the last of the first, once there are enough: nothing behind it is of interest. */
  get last(): RankedRow | undefined {
    return this.#last
  }

  /** A row of this value can't be among the first. */
  isLate(value: SortValue): boolean {
    return this.#last !== undefined && this.#sign * order(value, this.#last.value) > 0
  }

  offer(row: RankedRow): void {
    if (this.#last !== undefined && this.#compare(row, this.#last) > 0) return
    if (this.#after !== undefined && this.#compare(row, this.#after) <= 0) return
    this.#rows.push(row)
    if (this.#rows.length >= SLACK * this.#limit + SLACK_ROWS) this.#cut()
  }

  /** In order. */
  finish(): readonly RankedRow[] {
    this.#cut()
    return this.#rows
  }

  #cut(): void {
    this.#rows.sort(this.#compare)
    if (this.#rows.length <= this.#limit) return
    this.#rows.length = this.#limit
    this.#last = this.#rows.at(-1)
  }
}

export const order = (a: SortValue, b: SortValue): number => (a < b ? -1 : a > b ? 1 : 0)
