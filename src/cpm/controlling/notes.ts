/** Puts what has happened to a group into the decision trail. @param outcome `noted` unless given. */
export type Note = (code: string, clause: string, detail: string, outcome?: 'accepted' | 'noted') => void;
