import type { Mutant } from "./mutant.ts";

/** Faults in what tells one sending, process, epoch or life from another (decisions/0025, 0026). */
export const IDENTITY: readonly Mutant[] = [
  {
    id: "parts-of-any-start",
    rule: "a part belongs to one sending: another start of the node begins anew (protocol.md R1)",
    file: "src/barrier/opening.ts",
    from: "const same = known?.start === sender.start ? known : undefined;",
    to: "const same = known;",
  },
  {
    id: "parts-of-any-node",
    rule: "parts of two nodes never complete each other (protocol.md R1)",
    file: "src/barrier/opening.ts",
    from: "find((one) => one.node === sender.node);",
    to: "find(() => true);",
  },
  {
    id: "opened-again-closes",
    rule: "an opening that is complete is not begun anew by another start (protocol.md R1)",
    file: "src/barrier/opening.ts",
    from: "  if (isOpened(draft.meta)) {\n    renameTrigger(draft, change, outcome);\n    return;\n  }\n",
    to: "  if (isOpened(draft.meta) && sender.start <= draft.meta.openedByStart) {\n    renameTrigger(draft, change, outcome);\n    return;\n  }\n",
  },
  {
    id: "any-number-is-a-checkpoint",
    rule: "what says that nothing is known is no checkpoint (invariants.md I3; ticdc.md T11)",
    file: "src/barrier/plausible.ts",
    from: "  if (commitTs === 0n) return",
    to: "  if (commitTs > 0n) return undefined;\n  if (commitTs === 0n) return",
  },
  {
    id: "replaced-start-unanswered",
    rule: "whose start is below the known one is told (protocol.md R5; decision 0026)",
    file: "src/barrier/membership.ts",
    from: "    outcome.stale++;\n    outcome.knownStart = node.start;\n",
    to: "    outcome.rejected = undefined;\n    return outcome;\n",
  },
  {
    id: "superseded-unanswered",
    rule: "who goes on in a life that is over is told, whatever it reports (protocol.md R4)",
    file: "src/barrier/membership.ts",
    from: 'if (ended.life > life) return { knownLife: ended.life, reason: "a higher life of this dispatcher is over" };',
    to: "",
  },
  {
    id: "removed-of-any-epoch",
    rule: "a status of a life that has not registered in this epoch ends nobody else's (protocol.md R5; decision 0025)",
    file: "src/barrier/membership.ts",
    from: "else if (known && known.node !== sender.node) outcome.early.push({ ...status, life });",
    to: "",
  },
  {
    id: "status-of-any-process",
    rule: "a status of a process that has not registered in this epoch is kept until it has (protocol.md R6)",
    file: "src/barrier/membership.ts",
    from: "if (unregistered) outcome.early.push({ ...status, life });\n    else if",
    to: "if",
  },
  {
    id: "report-of-any-process",
    rule: "a report of a process that has not registered in this epoch is kept until it has (protocol.md R6)",
    file: "src/maintainer/reports.ts",
    from: 'if (isNew && node && sender.start > node.start) return "early";',
    to: "",
  },
  {
    id: "never-above-a-start",
    rule: "a process whose start is below the known one goes above it (protocol.md D14)",
    file: "src/dispatcher/starts.ts",
    from: "    this.#start = Number(known) + 1;\n    this.#options.onHigher();\n",
    to: "",
  },
  {
    id: "behind-what-has-no-ack",
    rule: "registered again in one epoch, the table trigger is not behind an event without its ACK (protocol.md D14)",
    file: "src/dispatcher/dispatcher.ts",
    from: 'this.registeredIn === "same epoch" ? this.#machine.unacknowledgedFrom : undefined;',
    to: "undefined;",
  },
  {
    id: "anybodys-action",
    rule: "a node obeys nobody but the coordinators that are named to it (protocol.md D12)",
    file: "src/dispatcher/answers.ts",
    from: 'if (coordinators !== undefined && !coordinators.includes(message.sender ?? "")) {',
    to: "if (coordinators === null) {",
  },
];
