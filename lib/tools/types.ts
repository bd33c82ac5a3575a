/** The words of tools: what callers declare, and what they are told of the calls. */
import type { Message } from '../types.js'

/**
 * What a tool's arguments look like: a JSON Schema of an object, or a schema of a library that keeps
 * to Standard Schema and gives its JSON Schema (zod 4.2 and later, ArkType, Valibot with its adapter).
 */
export type ToolSchema = object

/** Something that the model may call. */
export interface Tool {
  /** What it does and when to use it, as the model reads it. */
  readonly description: string
  /** Of the arguments. Default: an object of anything. */
  readonly schema?: ToolSchema | undefined
  /**
   * Does it. Its result is told to the model: a text as it is, anything else as JSON. What it throws
   * is told to the model, too, and ends nothing. The arguments were held against the schema.
   */
  // A method: a tool may declare just the arguments that its schema describes.
  run(args: Record<string, unknown>, context: ToolContext): unknown
}

/** By name: 1 to 64 letters, digits, `_` and `-`. */
export type Tools = Readonly<Record<string, Tool>>

/** What `run` is told besides the arguments. */
export interface ToolContext {
  /** Aborted where nobody waits for the result any more. */
  readonly signal: AbortSignal
  readonly callId: string
}

/**
 * `'auto'`: the model decides. `'none'`: it is told of the tools, as the conversation before may speak
 * of them, but nothing is run. `'required'`, or one tool's name: the answer begins with a call.
 */
export type ToolChoice = 'auto' | 'none' | 'required' | { readonly name: string }

/** The options of a generation that are of tools. */
export interface ToolOptions {
  /**
   * What the model may call while it answers messages. Its calls are run, all of a round at once, and it
   * is told their results, until it answers without a call.
   */
  tools?: Tools | undefined
  /** Whether it must call one. Default `'auto'`: it decides. */
  toolChoice?: ToolChoice | undefined
  /** Rounds of calls after which no more are run, 1 to 1000. Default 8. */
  maxToolRounds?: number | undefined
}

/** A call that the model made. */
export interface ToolCall {
  /** Unique in its conversation. */
  readonly id: string
  readonly name: string
  /** As the model gave them; a text where they are no JSON object. */
  readonly arguments: Readonly<Record<string, unknown>> | string
}

/** What came of a call: `error` is absent where it succeeded. */
export interface ToolOutcome extends ToolCall {
  /** What `run` gave. */
  readonly result?: unknown
  /** What the model was told instead of a result. */
  readonly error?: string
  readonly milliseconds: number
  /** The round that it was made in, from 1 on. */
  readonly round: number
}

/** What a chunk tells of tools besides text; absent without tools. */
export interface ToolNews {
  /** The round of the model's turn, from 1 on. Text of a round may turn out to precede calls. */
  readonly round?: number
  /** The model made this call, which is run now. */
  readonly toolCall?: ToolCall
  /** What came of a call. */
  readonly toolResult?: ToolOutcome
}

/** What a message has of tools. */
export interface ToolParts {
  /** Of an assistant message: the calls that it made; `content` is what it said before them. */
  readonly toolCalls?: readonly ToolCall[] | undefined
  /** Of a tool message: the call that it is the result of … */
  readonly toolCallId?: string | undefined
  /** … and the tool. */
  readonly name?: string | undefined
}

/** What a result has of tools. */
export interface ToolResults {
  /** The calls that were run, in order, with their results; of all rounds. */
  readonly toolCalls: readonly ToolOutcome[]
  /** With tools: what the turn adds to the conversation: calls, results, and the answer. */
  readonly messages?: readonly Message[]
}
