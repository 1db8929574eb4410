"""The job of docs/how-to/spark.md: scores windows with the registered model, on a Spark cluster.

    python benchmarks/sparkScoring.py --master spark://HOST:7077 --in windows.parquet --out forecasts

Prints the seconds of the job, without the start of the driver, as JSON.
"""

import argparse
import json
import time

import mlflow
from pyspark.sql import SparkSession

MODEL = "models:/stock-forecast@champion"
RESULT = "predicted_price double, last_close double, low_80 double, high_80 double, low_95 double, high_95 double, warnings string"


def main() -> None:
    """Score a Parquet file with the columns id and window."""
    parser = argparse.ArgumentParser(description="Score windows with the registered model on a Spark cluster.")
    parser.add_argument("--master", required=True, help="address of the master")
    parser.add_argument("--in", dest="source", required=True, help="Parquet: id, window (60 closes)")
    parser.add_argument("--out", required=True, help="folder of the forecasts")
    parser.add_argument("--model", default=MODEL, help="URI of the registered model")
    options = parser.parse_args()
    spark = SparkSession.builder.master(options.master).appName("stock-forecast").config("spark.ui.enabled", "false").getOrCreate()
    start = time.monotonic()
    score = mlflow.pyfunc.spark_udf(
        spark, options.model, result_type=RESULT, env_manager="local", params={"intervals": True, "skip_invalid": True}
    )
    windows = spark.read.parquet(options.source).where("size(window) = 60")  # an array of another length fails the job
    forecasts = windows.withColumn("forecast", score("window")).select("id", "forecast.*")
    forecasts.write.mode("overwrite").parquet(options.out)
    print(json.dumps({"seconds": time.monotonic() - start, "rows": spark.read.parquet(options.out).count()}))
    spark.stop()


if __name__ == "__main__":
    main()
