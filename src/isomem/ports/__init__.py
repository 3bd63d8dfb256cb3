"""What a pipeline calls: the shapes, a blocking and an asynchronous implementation, the guards."""
