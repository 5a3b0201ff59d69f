import ts from 'typescript';

const { factory } = ts;

/**
 * Adds block counting to compiled JavaScript: entering a function, a branch, a loop body or the right side of a
 * short-circuit operator calls `hit` with a number of its own.
 * @param coverageModule what to import `hit` from.
 * @param seed makes the numbers of one file differ from those of another.
 */
export function instrument(code: string, coverageModule: string, seed: number): string {
  let state = seed >>> 0;
  const nextId = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 16;
  };
  const source = ts.createSourceFile('code.js', code, ts.ScriptTarget.ES2023, true, ts.ScriptKind.JS);
  const result = ts.transform(source, [(context) => (file) => markFile(file, context, nextId)]);
  const text = ts.createPrinter().printFile(result.transformed[0]!);
  return `import { hit as ${HIT} } from ${JSON.stringify(coverageModule)};\n${text}`;
}

const HIT = '__fuzzHit';

function markFile(file: ts.SourceFile, context: ts.TransformationContext, nextId: () => number) {
  const hit = (): ts.Expression =>
    factory.createCallExpression(factory.createIdentifier(HIT), undefined, [
      factory.createNumericLiteral(nextId()),
    ]);
  const marked = (statements: readonly ts.Statement[]): ts.Statement[] => [
    factory.createExpressionStatement(hit()),
    ...statements,
  ];
  const block = (statement: ts.Statement): ts.Block =>
    factory.createBlock(marked(ts.isBlock(statement) ? statement.statements : [statement]), true);
  const valued = (expression: ts.Expression): ts.Expression =>
    factory.createParenthesizedExpression(factory.createComma(hit(), expression));

  const visit = (original: ts.Node): ts.Node => {
    const node = ts.visitEachChild(original, visit, context);
    if (ts.isIfStatement(node)) {
      const { expression, thenStatement, elseStatement = factory.createBlock([]) } = node;
      return factory.updateIfStatement(node, expression, block(thenStatement), block(elseStatement));
    }
    if (ts.isConditionalExpression(node)) {
      const { condition, questionToken, whenTrue, colonToken, whenFalse } = node;
      return factory.updateConditionalExpression(
        node,
        condition,
        questionToken,
        valued(whenTrue),
        colonToken,
        valued(whenFalse),
      );
    }
    if (ts.isBinaryExpression(node) && shortCircuits.has(node.operatorToken.kind))
      return factory.updateBinaryExpression(node, node.left, node.operatorToken, valued(node.right));
    if (ts.isCaseClause(node))
      return factory.updateCaseClause(node, node.expression, marked(node.statements));
    if (ts.isDefaultClause(node)) return factory.updateDefaultClause(node, marked(node.statements));
    if (ts.isBlock(node) && isCountedBody(original.parent)) return block(node);
    return node;
  };
  return ts.visitEachChild(file, visit, context);
}

const shortCircuits: ReadonlySet<ts.SyntaxKind> = new Set([
  ts.SyntaxKind.AmpersandAmpersandToken,
  ts.SyntaxKind.BarBarToken,
  ts.SyntaxKind.QuestionQuestionToken,
  ts.SyntaxKind.BarBarEqualsToken,
  ts.SyntaxKind.QuestionQuestionEqualsToken,
]);

/** A constructor's first statement may have to be `super`, so constructors are left out. */
function isCountedBody(parent: ts.Node): boolean {
  if (ts.isConstructorDeclaration(parent)) return false;
  return ts.isFunctionLike(parent) || ts.isIterationStatement(parent, false) || ts.isCatchClause(parent);
}
