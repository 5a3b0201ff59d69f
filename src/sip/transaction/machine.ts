/**
 * A state machine as a table: for each state, the events that mean something in it, the state they lead to and
 * what is done on the way. An event without an entry does nothing, as RFC 3261 §17 has it.
 * The state changes before the action runs, because the action may call the user, who may call back.
 */
export type Machine<State extends string, Event extends string, Subject, Argument> = Readonly<
  Record<State, Readonly<Partial<Record<Event, Transition<State, Subject, Argument>>>>>
>;

export type Transition<State extends string, Subject, Argument> = readonly [
  next: State,
  action: (subject: Subject, argument: Argument) => void,
];
