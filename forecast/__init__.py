"""Forecasting on arrays: network, intervals, backtest, scores, plots."""
