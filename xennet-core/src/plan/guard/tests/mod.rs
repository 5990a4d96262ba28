mod bypass;
mod entry;
mod fixture;
mod others;
mod plan;
mod rules;
mod verdicts;
